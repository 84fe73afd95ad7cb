"""Laying items out on positions, filling up from the fallback, and the gates that judge the finished slate."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from controlplane.engine.gates import Gate
from controlplane.engine.guardrails import Guardrail
from controlplane.engine.items import Item
from controlplane.engine.records import Record
from controlplane.engine.rulesets import Surface
from controlplane.engine.subjects import Subject

FALLBACK = "fallback"
WHOLE = 10_000


class ShareGate(NamedTuple):
    """A slate gate: at most `max_share` (1/10,000) of a slate may be items that trip the guardrail."""

    rail: Guardrail

    def offenders(self, slate: Sequence[Item]) -> list[Item]:
        """The items over which the gate objects to the slate, in slate order; none when it may leave."""
        tripping = [item for item in slate if self.rail.concerns(item)]
        allowed = self.rail.max_share * len(slate) // WHOLE
        return tripping if len(tripping) > allowed else []


def slate_gates(surface: Surface, subject: Subject) -> list[ShareGate]:
    """The gates that judge this request's slate."""
    return [ShareGate(rail) for rail in surface.guardrails.caps if rail.live and rail.stands(subject)]


def lay_out(pins: Mapping[int, Item], others: Sequence[Item], slots: int) -> list[Item]:
    """At most `slots` items: pins on their positions (1-based), everything else around them in order.

    When the others run out, pins that stand further down move up, in the order of their positions.
    """
    slate: list[Item] = []
    waiting = sorted(pins, reverse=True)
    following = iter(others)
    while len(slate) < slots:
        due = waiting and waiting[-1] <= len(slate) + 1
        item = None if due else next(following, None)
        if item is None:
            if not waiting:
                break
            item = pins[waiting.pop()]
        slate.append(item)
    return slate


def finish(
    pins: Mapping[int, Item],
    organic: Sequence[Item],
    reserve: Iterator[Item],
    *,
    slots: int,
    gates: Sequence[ShareGate],
    record: Record,
) -> list[Item]:
    """The slate that leaves: laid out, filled from the reserve, and without what a slate gate objects to.

    While a gate objects, the lowest offender goes, pins included, the slate is laid out again and judged again.
    """
    pool = list(organic)
    while True:
        slate = lay_out(pins, pool, slots)
        if len(slate) < slots:
            pool.extend(islice(reserve, slots - len(slate)))
            slate = lay_out(pins, pool, slots)
        objection = _objection(gates, slate)
        if objection is None:
            break
        rail, offender = objection
        record.refuse(offender, "slate_gate", rail)
        record.step("slate_gate", rail, offender, f"position {slate.index(offender) + 1}")
        pins = {position: item for position, item in pins.items() if item is not offender}
        pool = [item for item in pool if item is not offender]
    _truncate(pool, slate, record)
    return slate


def _objection(gates: Sequence[ShareGate], slate: Sequence[Item]) -> tuple[Guardrail, Item] | None:
    for gate in gates:
        offenders = gate.offenders(slate)
        if offenders:
            return gate.rail, offenders[-1]
    return None


def _truncate(pool: Sequence[Item], slate: Sequence[Item], record: Record) -> None:
    shown = {item.id for item in slate}
    for item in pool:
        if item.id not in shown and not item.is_fallback:
            record.refuse(item, "truncated")


def fallback_items(
    surface: Surface, gate: Gate, known: Mapping[str, Item], taken: set[str]
) -> Iterator[Item]:
    """The surface's fallback, one by one, as far as the item gate and the required filters admit it."""
    for item_id in surface.fallback:
        if item_id in taken:
            continue
        candidate = known.get(item_id)
        if candidate is None:
            item = gate.bring_in(item_id)
        else:
            item = candidate if gate.admits(candidate) else None
        if item is None:
            continue
        unmet = gate.unmet(item)
        if unmet is not None:
            gate.refuse_unmet(item, unmet)
            continue
        item.is_fallback = True
        item.propensity = None
        item.codes.append(FALLBACK)
        yield item
