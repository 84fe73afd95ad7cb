"""Where two merchandising rules meet: the same items, the same positions, the same surface, the same time. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from controlplane.engine.overrides import Override as Rule
from controlplane.engine.overrides import in_precedence
from overrides import windows

Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Conflict:
    """One rule that meets the draft. `severity` is `warning` where one of the two loses something."""

    key: str
    message: str
    severity: Literal["warning", "note"]


def conflicts(draft: Body, others: Iterable[Body]) -> list[Conflict]:
    """The others (bodies as rulesets carry them, of one surface) that meet the draft, those that cost something first."""
    found = [
        conflict
        for other in others
        if other["key"] != draft["key"] and windows.overlap(draft["windows"], other["windows"])
        for conflict in _between(draft, other)
    ]
    return sorted(found, key=lambda one: (one.severity != "warning", one.key))


def _between(draft: Body, other: Body) -> list[Conflict]:
    shared = [item for item in draft["items"] if item in set(other["items"])]
    kinds = draft["type"], other["type"]
    found: list[Conflict] = []

    def note(message: str, severity: Literal["warning", "note"] = "warning") -> None:
        found.append(Conflict(other["key"], message, severity))

    if kinds == ("pin", "pin"):
        taken = sorted(set(_positions(draft)) & set(_positions(other)))
        if taken:
            keeps = "this rule keeps" if _stronger(draft, other) else f"{other['key']} keeps"
            note(f"Both claim {_places(taken)}; {keeps} them and the other moves down.")
    if shared and "hide" in kinds:
        hider = "This rule" if draft["type"] == "hide" else other["key"]
        note(f"{hider} hides {_few(shared)}; a hidden item is not shown whatever else raises it.")
    elif shared:
        note(f"Both are about {_few(shared)}.", "warning" if kinds == ("pin", "pin") else "note")
    if other["type"] == "require" and draft["type"] != "require" and draft.get("must_match_filters", True):
        outside = [item for item in draft["items"] if item not in set(other["items"])]
        if outside and other["condition"] is None:
            note(f"{other['key']} lets only its own items through; {_few(outside)} would not be shown.")
        elif other["condition"] is not None:
            note(f"{other['key']} lets only items through that match its condition.", "note")
    return found


def _positions(pin: Body) -> Sequence[int]:
    return range(pin["position"], pin["position"] + len(pin["items"]))


def _stronger(draft: Body, other: Body) -> bool:
    """Whether the draft claims its positions first, by the law's own order."""
    ordered = in_precedence(Rule(body) for body in (draft, other))
    first = min(ordered, key=lambda rule: -rule.priority)
    return bool(first.key == draft["key"])


def _places(positions: Sequence[int]) -> str:
    word = "position" if len(positions) == 1 else "positions"
    return f"{word} {', '.join(map(str, positions[:5]))}{' and more' if len(positions) > 5 else ''}"


def _few(items: Sequence[str]) -> str:
    return ", ".join(items[:3]) + (f" and {len(items) - 3} more" if len(items) > 3 else "")
