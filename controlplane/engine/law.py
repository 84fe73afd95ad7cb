"""The law of serving: what a ruleset makes of one request.

`decide` is a pure function of a ruleset and a request, and total: whatever it is given, it answers, with reasons. The
order is fixed by the type of operation; priority counts only inside a type:

    item gate, hides, required filters, boosts and buries, pins, backfill, fallback, slate gates

The item gate judges every item at the moment it enters, from whatever source; the slate gates judge the finished slate.
No item reaches a slate that the item gate refuses, and no slate leaves that a slate gate refuses.
"""

from collections.abc import Mapping, Sequence

from controlplane.engine.coercion import finite
from controlplane.engine.decisions import Assignment, Decision, Removed, SlateItem, TraceStep
from controlplane.engine.gates import Gate
from controlplane.engine.items import Item
from controlplane.engine.pins import Pins
from controlplane.engine.records import Record
from controlplane.engine.requests import NOTHING, Candidate, Request
from controlplane.engine.rulesets import Ruleset, Surface
from controlplane.engine.schema import LAW_VERSION
from controlplane.engine.slates import fallback_items, finish, slate_gates
from controlplane.engine.subjects import Subject

LEAST_FACTOR = 0.01
MOST_FACTOR = 100.0
MOST_SLOTS = 10_000


def assign(ruleset: Ruleset, request: Request) -> tuple[Assignment, ...]:
    """The unit's assignment in every experiment of the surface, by key, with the reason where it has no arm."""
    surface = ruleset.surface(_text(request.surface))
    return _assign(surface, Subject(request, surface.switches, ruleset.audience))


def decide(ruleset: Ruleset, request: Request) -> Decision:
    """The slate for a request, with assignments, everything that was removed, and the trace of every rule."""
    surface = ruleset.surface(_text(request.surface))
    subject = Subject(request, surface.switches, ruleset.audience)
    record = Record()
    if subject.at is None:
        record.note("invalid_at")
    candidates = _accepted(request, surface, record)
    slate = _slate(request, surface, subject, candidates, record)
    return Decision(
        surface.key,
        ruleset.revision,
        LAW_VERSION,
        _text(request.decision_id),
        _assign(surface, subject),
        tuple([_shown(item, position) for position, item in enumerate(slate, 1)]),
        tuple(record.removed),
        tuple(record.trace),
        tuple(record.reasons),
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _assign(surface: Surface, subject: Subject) -> tuple[Assignment, ...]:
    return tuple([experiment.assign(subject) for experiment in surface.experiments])


def _shown(item: Item, position: int) -> SlateItem:
    return SlateItem(
        item.id,
        position,
        item.score,
        item.score_before,
        item.rank_before,
        tuple(item.codes),
        item.is_fallback,
        item.propensity,
    )


def _accepted(request: Request, surface: Surface, record: Record) -> list[Item]:
    """The candidates that are items, each once, in the ranker's order: by score, unscored last, then as given."""
    given: object = request.candidates
    if not isinstance(given, (list, tuple)):
        record.note("invalid_candidates")
        return []
    items: dict[str, Item] = {}
    for candidate in given:
        if not isinstance(candidate, Candidate) or not _text(candidate.id):
            record.note("invalid_candidates")
        elif candidate.id in items:
            record.removed.append(Removed(candidate.id, "duplicate", "", None, None))
        else:
            items[candidate.id] = _item(candidate, surface, len(items))
            if candidate.score is not None and items[candidate.id].score is None:
                record.note("invalid_score")
    ranked = sorted(items.values(), key=_by_score)
    for rank, item in enumerate(ranked, 1):
        item.rank_before = rank
    return ranked


def _item(candidate: Candidate, surface: Surface, order: int) -> Item:
    said: object = candidate.attributes
    attributes = said if type(said) is dict or isinstance(said, Mapping) else NOTHING
    item = Item(
        candidate.id,
        score=finite(candidate.score),
        attributes=attributes,
        facts=surface.facts_of(candidate.id),
        order=order,
    )
    item.propensity = finite(candidate.propensity)
    return item


def _by_score(item: Item) -> tuple[bool, float, int]:
    return (item.score is None, 0.0 if item.score is None else -item.score, item.order)


def _slate(
    request: Request, surface: Surface, subject: Subject, candidates: list[Item], record: Record
) -> list[Item]:
    if not surface.known:
        record.note("unknown_surface")
        for item in candidates:
            record.refuse(item, "unknown_surface")
        return []
    slots = _slots(request, surface, len(candidates), record)
    gate = Gate(surface, subject, record)
    known = {item.id: item for item in candidates}
    if subject.safe_mode is not None:
        return _safe_slate(surface, subject, gate, known, slots=slots, record=record)
    admitted = [item for item in candidates if gate.admits(item)]
    pins = Pins(gate, record, known, slots)
    pins.claim(surface.overrides.pins(subject))
    organic = _meeting_filters(admitted, pins.placed, gate)
    _scale(organic, surface, subject, record)
    unpinned = [item for item in organic if item.id not in pins.placed]
    taken = pins.placed | known.keys()
    slate = finish(
        pins.claimed,
        unpinned,
        fallback_items(surface, gate, {}, taken),
        slots=slots,
        gates=slate_gates(surface, subject),
        record=record,
    )
    if len(slate) < slots:
        record.note("short_slate")
    return slate


def _safe_slate(
    surface: Surface, subject: Subject, gate: Gate, known: Mapping[str, Item], *, slots: int, record: Record
) -> list[Item]:
    """Only the fallback is shown, through the item gate; every other candidate is removed."""
    record.note("safe_mode")
    for item in known.values():
        if item.id not in surface.fallback:
            record.refuse(item, "safe_mode", subject.safe_mode)
    slate = finish(
        {},
        (),
        fallback_items(surface, gate, known, set()),
        slots=slots,
        gates=slate_gates(surface, subject),
        record=record,
    )
    if len(slate) < slots:
        record.note("short_slate")
    return slate


def _slots(request: Request, surface: Surface, candidates: int, record: Record) -> int:
    asked = request.slots
    if isinstance(asked, int) and not isinstance(asked, bool) and asked >= 0:
        return min(asked, MOST_SLOTS)
    if asked is not None:
        record.note("invalid_slots")
    return min(surface.slots or candidates, MOST_SLOTS)


def _meeting_filters(admitted: Sequence[Item], placed: set[str], gate: Gate) -> list[Item]:
    """The items that meet every required filter; the others are removed unless a pin is exempt from filters."""
    meeting = []
    for item in admitted:
        unmet = gate.unmet(item)
        if unmet is None:
            meeting.append(item)
        elif item.id not in placed:
            gate.refuse_unmet(item, unmet)
    return meeting


def _scale(organic: list[Item], surface: Surface, subject: Subject, record: Record) -> None:
    """Boosts and buries: the product of the factors, clamped, times the score, and every guardrail's demotion."""
    scales = surface.overrides.scales.of(subject)
    touched = []
    for rank, item in enumerate(organic, 1):
        for rule in scales.on(item):
            item.scale(rule.kind, rule, rule.factor)
        if item.scalings:
            item.settle(LEAST_FACTOR, MOST_FACTOR)
            touched.append((rank, item))
    if not touched:
        return
    organic.sort(key=_by_score)
    after = {item.id: rank for rank, item in enumerate(organic, 1)}
    for before, item in touched:
        for kind, source, factor in item.scalings:
            record.trace.append(
                TraceStep(kind, source.name, source.version, item.id, before, after[item.id], f"x{factor:g}")
            )
