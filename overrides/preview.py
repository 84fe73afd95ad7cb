"""What a draft does to a slate: the same request decided without it and with it, side by side. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from controlplane.engine import Decision, Request, Ruleset, decide
from controlplane.engine.decisions import Removed, TraceStep
from overrides import conflicts

SECTION: Final = "surface:"
LOST: Final[Mapping[str, str]] = {
    "pin_refused": "is not shown, so its place goes to the next item",
    "pin_displaced": "found no free position left",
    "pin_moved": "stands lower, because a stronger pin has its position",
    "pin_repeated": "is placed by a stronger pin already",
}
WHY: Final[Mapping[str, str]] = {
    "unavailable": "it is out of stock",
    "hidden": "a rule hides it",
    "guardrail": "a guardrail blocks it",
    "age_gate": "a guardrail shows it only from an age the request does not have",
    "region_block": "a guardrail blocks it in this region",
    "region": "it is not licensed in this region",
    "kill_switch": "a kill switch blocks it",
    "safe_mode": "the surface is in safe mode",
    "not_required": "a required filter keeps it out",
    "no_facts": "the catalogue does not know it",
    "displaced": "there was no position left",
    "truncated": "it fell off the end of the slate",
    "slate_gate": "a guardrail on the whole slate removed it",
    "duplicate": "it was proposed twice",
}


@dataclass(frozen=True, slots=True)
class Place:
    """One position of a slate. `was` is the item's position in the other slate, None when it did not stand there."""

    item: str
    position: int
    was: int | None
    codes: tuple[str, ...]
    is_fallback: bool

    @property
    def moved(self) -> int | None:
        """Positions gained (negative: lost) against the other slate; None when it did not stand there."""
        return None if self.was is None else self.was - self.position


@dataclass(frozen=True, slots=True)
class Leaving:
    """An item shown without the draft and not with it, and why."""

    item: str
    position: int
    why: str
    rule: str


@dataclass(frozen=True, slots=True)
class LostPin:
    """A pin of the draft that does not stand where it was asked to, and why."""

    item: str
    wanted: str
    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Preview:
    """Both slates and everything between them."""

    surface: str
    revision: int
    at: str
    before: tuple[Place, ...]
    after: tuple[Place, ...]
    leaving: tuple[Leaving, ...]
    lost_pins: tuple[LostPin, ...]
    conflicts: tuple[conflicts.Conflict, ...]
    experiments: tuple[str, ...]

    @property
    def changed(self) -> int:
        """How many positions show something else."""
        before = {place.position: place.item for place in self.before}
        return sum(before.get(place.position) != place.item for place in self.after) + max(
            0, len(self.before) - len(self.after)
        )


def preview(
    document: Mapping[str, Any],
    draft: Mapping[str, Any],
    request: Request,
    *,
    facts: Mapping[str, Any],
    members_of: Sequence[str] = (),
) -> Preview:
    """Decide the request by the document without the draft (a rule body) and with it.

    facts: of the items the draft names, by id. members_of: audiences the request shall belong to whatever they ask for.
    """
    base = _belonging(document, members_of)
    others = _others(base, request.surface, draft["key"])
    before = _decide(base, request, others, facts=facts)
    after = _decide(base, request, [*others, dict(draft)], facts=facts)
    return Preview(
        surface=request.surface,
        revision=document["manifest"]["revision"],
        at=request.at,
        before=_places(before, after),
        after=_places(after, before),
        leaving=tuple(_leaving(before, after)),
        lost_pins=tuple(_lost(after, f"override:{draft['key']}")),
        conflicts=tuple(conflicts.conflicts(draft, others)),
        experiments=_experiments(base, request.surface),
    )


def _belonging(document: Mapping[str, Any], members_of: Sequence[str]) -> Mapping[str, Any]:
    if not members_of:
        return document
    shared = document["sections"]["shared"]
    opened = {key: {"version": 0, "condition": {}} for key in members_of}
    shared = {**shared, "audiences": {**shared["audiences"], **opened}}
    return {**document, "sections": {**document["sections"], "shared": shared}}


def _others(document: Mapping[str, Any], surface: str, key: str) -> list[dict[str, Any]]:
    return [body for body in document["sections"][SECTION + surface]["overrides"] if body["key"] != key]


def _decide(
    document: Mapping[str, Any],
    request: Request,
    overrides: Iterable[Mapping[str, Any]],
    *,
    facts: Mapping[str, Any],
) -> Decision:
    name = SECTION + request.surface
    section = document["sections"][name]
    changed = {
        **section,
        "overrides": sorted(overrides, key=lambda body: str(body["key"])),
        "facts": {**section["facts"], **facts},
    }
    sections = {"shared": document["sections"]["shared"], name: changed}
    return decide(
        Ruleset.from_document({"manifest": document["manifest"], "sections": sections}, verify=False), request
    )


def _places(decision: Decision, other: Decision) -> tuple[Place, ...]:
    elsewhere = {shown.id: shown.position for shown in other.slate}
    return tuple(
        Place(shown.id, shown.position, elsewhere.get(shown.id), shown.rule_codes, shown.is_fallback)
        for shown in decision.slate
    )


def _leaving(before: Decision, after: Decision) -> Iterable[Leaving]:
    staying = {shown.id for shown in after.slate}
    removed = {one.id: one for one in after.removed}
    for shown in before.slate:
        if shown.id not in staying:
            yield Leaving(shown.id, shown.position, *_reason(removed.get(shown.id)))


def _reason(removed: Removed | None) -> tuple[str, str]:
    if removed is None:
        return "the slate is full without it", ""
    return WHY.get(removed.reason, removed.reason), removed.rule


def _lost(after: Decision, rule: str) -> Iterable[LostPin]:
    removed = {one.id: one for one in after.removed}
    steps: list[TraceStep] = [step for step in after.trace if step.rule == rule and step.step in LOST]
    for step in steps:
        why, by = _reason(removed[step.item]) if step.item in removed else ("", "")
        yield LostPin(step.item, step.detail, LOST[step.step], f"{why} ({by})" if by else why)


def _experiments(document: Mapping[str, Any], surface: str) -> tuple[str, ...]:
    sections = document["sections"]
    bodies = [*sections["shared"]["experiments"], *sections[SECTION + surface]["experiments"]]
    return tuple(sorted({body["key"] for body in bodies}))
