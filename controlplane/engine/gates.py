"""The item gate: what every item passes at the moment it enters, whatever brings it in."""

from controlplane.engine.guardrails import region_of
from controlplane.engine.items import Item
from controlplane.engine.overrides import Override
from controlplane.engine.records import Record
from controlplane.engine.requests import NOTHING
from controlplane.engine.rulesets import Surface
from controlplane.engine.subjects import Subject

REFUSAL = {"block": "guardrail", "age_gate": "age_gate", "region_block": "region_block"}


class Gate:
    """The item gate of one request. What it refuses is recorded with the reason and stays out."""

    __slots__ = ("_hides", "_record", "_region", "_requires", "_subject", "_surface")

    def __init__(self, surface: Surface, subject: Subject, record: Record) -> None:
        self._surface = surface
        self._subject = subject
        self._record = record
        self._region = region_of(subject)
        safe = subject.safe_mode is not None
        self._hides = surface.overrides.hides.of(subject)
        self._requires = [] if safe else surface.overrides.requires(subject)

    def admits(self, item: Item) -> bool:
        """Whether the item may enter: kill switches, availability, licence, guardrails, and then hides."""
        switch = self._surface.switches.blocked.get(item.id)
        if switch is not None:
            self._record.refuse(item, "kill_switch", switch)
        elif not item.available():
            self._record.refuse(item, "unavailable")
        elif not self._licensed(item):
            self._record.refuse(item, "region")
        else:
            return self._passes_guardrails(item) and not self._hidden(item)
        return False

    def bring_in(self, item_id: str) -> Item | None:
        """An item that a rule names and the ranker did not propose; None when it may not be shown."""
        if item_id in self._record.refused:
            return None
        facts = self._surface.facts_of(item_id)
        item = Item(item_id, score=None, attributes=NOTHING, facts=facts, order=0)
        if facts is None:
            self._record.refuse(item, "no_facts")
            return None
        return item if self.admits(item) else None

    def unmet(self, item: Item) -> Override | None:
        """The first required filter that the item does not meet."""
        for rule in self._requires:
            if not rule.targets(item):
                return rule
        return None

    def refuse_unmet(self, item: Item, rule: Override) -> None:
        """An item that a required filter keeps out."""
        self._record.refuse(item, "not_required", rule)
        self._record.step("require", rule, item, "not required")

    def _licensed(self, item: Item) -> bool:
        return all(self._region is not None and self._region in allowed for allowed in item.regions())

    def _passes_guardrails(self, item: Item) -> bool:
        record = self._record
        for rail in self._surface.guardrails.on(item, self._subject):
            if not rail.live:
                record.step("shadow", rail, item, rail.action)
            elif not rail.admits(self._subject):
                record.refuse(item, REFUSAL[rail.action], rail)
                record.step("item_gate", rail, item, rail.action)
                return False
            elif rail.action == "demote":
                item.scale("demote", rail, rail.factor)
            elif rail.action == "label":
                item.codes.append(rail.code)
                record.step("label", rail, item, "labelled")
        return True

    def _hidden(self, item: Item) -> bool:
        for rule in self._hides.on(item):
            self._record.refuse(item, "hidden", rule)
            self._record.step("hide", rule, item, "hidden")
            return True
        return False
