"""What changed between two JSON values, as a flat map from dotted path to old and new value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def difference(before: Any, after: Any, *, path: str = "") -> dict[str, dict[str, Any]]:
    """Leaves that differ, each with `from` and `to`; a side that lacks the leaf has no key. Lists are compared whole.

    >>> difference({"a": {"b": 1}, "c": 2}, {"a": {"b": 3}, "d": 4})
    {'a.b': {'from': 1, 'to': 3}, 'c': {'from': 2}, 'd': {'to': 4}}
    """
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        found: dict[str, dict[str, Any]] = {}
        for key in sorted({*before, *after}, key=str):
            inner = f"{path}.{key}" if path else str(key)
            if key not in after:
                found[inner] = {"from": before[key]}
            elif key not in before:
                found[inner] = {"to": after[key]}
            else:
                found.update(difference(before[key], after[key], path=inner))
        return found
    return {} if before == after else {path: {"from": before, "to": after}}
