"""What values teach about attributes: their dotted names, types and examples."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

MAX_STEPS: Final = 4
"""Steps of a dotted name; what lies deeper is part of the object above it."""
MAX_NAME: Final = 160
MAX_EXAMPLES: Final = 50
MAX_EXAMPLE_LENGTH: Final = 100
_INSTANT = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)$")

Example = str | int | float | bool


@dataclass(slots=True)
class Observed:
    """How often an attribute was seen, of which type at first, and up to fifty different values in order of sight."""

    type: str
    count: int = 0
    examples: dict[tuple[str, Example], Example] = field(default_factory=dict)

    def note(self, value: Any) -> None:
        """Count one sight of the attribute, and keep the value if there is room and it is short and simple."""
        self.count += 1
        if len(self.examples) >= MAX_EXAMPLES:
            return
        for one in value if isinstance(value, list) else (value,):
            if len(self.examples) >= MAX_EXAMPLES:
                return
            if (isinstance(one, str) and len(one) <= MAX_EXAMPLE_LENGTH) or isinstance(
                one, bool | int | float
            ):
                self.examples.setdefault((type(one).__name__, one), one)


def type_of(value: Any) -> str:
    """The dictionary's name for the type of a JSON value.

    >>> type_of("2026-03-01T10:00:00Z"), type_of(True), type_of(["a"])
    ('datetime', 'boolean', 'list')
    """
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "datetime" if _INSTANT.match(value) else "string"
    return "list" if isinstance(value, list) else "object"


def observe(
    samples: Iterable[Mapping[str, Any]], into: dict[str, Observed] | None = None
) -> dict[str, Observed]:
    """Every attribute of the samples by dotted name. Nulls teach nothing."""
    found = {} if into is None else into
    for sample in samples:
        for name, value in _leaves(sample, "", 1):
            seen = found.get(name)
            if seen is None:
                seen = found[name] = Observed(type_of(value))
            seen.note(value)
    return found


def _leaves(sample: Mapping[str, Any], prefix: str, step: int) -> Iterator[tuple[str, Any]]:
    for key, value in sample.items():
        name = f"{prefix}{key}"
        if (
            value is None
            or not key
            or "." in key
            or "\x00" in key
            or key.startswith("$")
            or len(name) > MAX_NAME
        ):
            continue
        yield name, value
        if isinstance(value, dict) and step < MAX_STEPS:
            yield from _leaves(value, f"{name}.", step + 1)
