"""Pins: which items claim which positions, and what became of those that could not."""

from collections.abc import Mapping, Sequence

from controlplane.engine.gates import Gate
from controlplane.engine.items import Item
from controlplane.engine.overrides import Override
from controlplane.engine.records import Record
from controlplane.engine.requests import NOTHING


class Pins:
    """Claims positions for the pins of one request, the strongest rule first.

    The winner of a position keeps it and a loser takes the next free one below; a pin that finds none, or whose item
    is refused, is reported. A refused pin leaves its position to the ranking and does not shift the pins after it.
    """

    __slots__ = ("_gate", "_known", "_record", "_slots", "claimed", "placed")

    def __init__(self, gate: Gate, record: Record, known: Mapping[str, Item], slots: int) -> None:
        self._gate = gate
        self._record = record
        self._known = known
        self._slots = slots
        self.claimed: dict[int, Item] = {}
        self.placed: set[str] = set()

    def claim(self, rules: Sequence[Override]) -> None:
        for rule in rules:
            for offset, item_id in enumerate(dict.fromkeys(rule.items)):
                self._place(rule, item_id, rule.position + offset)

    def _place(self, rule: Override, item_id: str, wanted: int) -> None:
        known = self._known.get(item_id)
        mention = known or Item(item_id, score=None, attributes=NOTHING, facts=None, order=0)
        detail = f"position {wanted}"
        if item_id in self.placed:
            self._record.step("pin_repeated", rule, mention, detail)
            return
        item = self._allowed(rule, item_id, known)
        if item is None:
            self._record.step("pin_refused", rule, mention, detail)
            return
        position = self._free_from(wanted)
        if position is None:
            self._record.step("pin_displaced", rule, item, detail)
            if known is None:
                self._record.refuse(item, "displaced", rule)
            return
        self.claimed[position] = item
        self.placed.add(item_id)
        item.codes.append(rule.code)
        item.propensity = None
        self._record.step("pin" if position == wanted else "pin_moved", rule, item, detail, after=position)

    def _allowed(self, rule: Override, item_id: str, known: Item | None) -> Item | None:
        if item_id in self._record.refused:
            return None
        item = self._gate.bring_in(item_id) if known is None else known
        if item is None or not rule.must_match_filters:
            return item
        unmet = self._gate.unmet(item)
        if unmet is None:
            return item
        if known is None:
            self._gate.refuse_unmet(item, unmet)
        return None

    def _free_from(self, wanted: int) -> int | None:
        position = wanted
        while position in self.claimed:
            position += 1
        return position if position <= self._slots else None
