"""What one source contributes to a ruleset: the one type between an app's records and the linker."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from controlplane.core.canonical import digest

Reference = tuple[Literal["audience", "surface", "item", "attribute", "experiment", "override"], str]
Kind = Literal["experiments", "overrides", "guardrails", "kill_switches", "audiences", "surface"]

SHARED: Final = "shared"
SURFACE_PREFIX: Final = "surface:"
EVERY_SURFACE: Final = "surface:*"

KINDS: Final[tuple[Kind, ...]] = (
    "experiments",
    "overrides",
    "guardrails",
    "kill_switches",
    "audiences",
    "surface",
)
REFERENCES: Final = ("audience", "surface", "item", "attribute", "experiment", "override")


def surface_section(key: str) -> str:
    """Name of the section of the surface with that key."""
    return SURFACE_PREFIX + key


@dataclass(frozen=True, slots=True)
class Entry:
    """One body in one section, as the engine will read it.

    section: `shared`, `surface:<key>`, or `surface:*` for a rule of every surface.
    kind: the list (or, for `audiences` and `surface`, the object) of the section that the body goes into.
    key: unique within section and kind over all sources.
    refs: what the body names elsewhere; the linker reports those that do not exist.
    """

    section: str
    kind: Kind
    key: str
    body: Mapping[str, Any]
    refs: tuple[Reference, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "section": self.section,
            "kind": self.kind,
            "key": self.key,
            "body": dict(self.body),
            "refs": [list(reference) for reference in self.refs],
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Entry:
        return cls(
            section=stored["section"],
            kind=stored["kind"],
            key=stored["key"],
            body=stored["body"],
            refs=tuple((name, key) for name, key in stored["refs"]),
        )

    @property
    def place(self) -> tuple[str, str, str]:
        """Where it stands; two entries of one place cannot be linked."""
        return (self.section, self.kind, self.key)


@dataclass(frozen=True, slots=True)
class Fragment:
    """Everything one source contributes to one environment. `source` is its name, such as `overrides`."""

    source: str
    entries: tuple[Entry, ...] = field(default=())

    def __init__(self, source: str, entries: Iterable[Entry] = ()) -> None:
        object.__setattr__(self, "source", source)
        object.__setattr__(self, "entries", tuple(sorted(entries, key=lambda entry: entry.place)))

    def to_json(self) -> dict[str, Any]:
        return {"source": self.source, "entries": [entry.to_json() for entry in self.entries]}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Fragment:
        return cls(stored["source"], (Entry.from_json(entry) for entry in stored["entries"]))

    @property
    def digest(self) -> str:
        """Name of the content: equal for equal entries in any order."""
        return digest(self.to_json())
