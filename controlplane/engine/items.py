"""What the engine knows of an item: compiled facts and the caller's attributes, the more restrictive of both.

Availability is the lower of the two. A signal judged by a guardrail trips it when either value does. For any other
attribute on which facts and caller differ, a rule that restricts applies when it matches either reading, and a rule
that admits or promotes applies only when it matches both.
"""

from collections.abc import Mapping
from typing import Protocol

from controlplane.engine.bodies import Body, object_in, texts_in
from controlplane.engine.coercion import finite, same_json
from controlplane.engine.conditions import Predicate
from controlplane.engine.requests import NOTHING


class Rule(Protocol):
    """A rule of one version that a trace can name."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> int: ...


class CodedRule(Rule, Protocol):
    """A rule that leaves its code on the items it touches."""

    @property
    def code(self) -> str: ...


class Item:
    """One item while a slate is being decided."""

    __slots__ = (
        "_readings",
        "attributes",
        "codes",
        "facts",
        "id",
        "is_fallback",
        "order",
        "propensity",
        "rank_before",
        "scalings",
        "score",
        "score_before",
    )

    def __init__(
        self, item: str, *, score: float | None, attributes: Body, facts: Body | None, order: int
    ) -> None:
        self.id = item
        self.score = score
        self.score_before = score
        self.attributes = attributes
        self.facts = facts
        self.order = order
        self.rank_before: int | None = None
        self.propensity: float | None = None
        self.is_fallback = False
        self.codes: list[str] = []
        self.scalings: list[tuple[str, Rule, float]] = []
        self._readings: tuple[Mapping[str, object], ...] | None = None

    def scale(self, kind: str, rule: CodedRule, factor: float) -> None:
        """A rule asks for the score to be multiplied."""
        self.scalings.append((kind, rule, factor))
        self.codes.append(rule.code)

    def settle(self, least: float, most: float) -> None:
        """Multiplies the score: demotions as they are, boosts and buries by their product within [least, most].

        A negative score is divided instead, so that a boost always raises an item.
        """
        product = demotion = 1.0
        for kind, _, factor in self.scalings:
            if kind == "demote":
                demotion *= factor
            else:
                product *= factor
        product = min(most, max(least, product)) * demotion
        if self.score is not None:
            scaled = self.score * product if self.score >= 0 else self.score / product
            self.score = finite(scaled) if finite(scaled) is not None else self.score

    def available(self) -> bool:
        """False as soon as facts or caller say so."""
        if self.attributes.get("available") is False:
            return False
        return self.facts is None or self.facts.get("available") is not False

    def regions(self) -> list[tuple[str, ...]]:
        """The region lists the item is licensed for; it must be allowed by every one of them."""
        if self.attributes.get("regions") is None and (
            self.facts is None or self.facts.get("regions") is None
        ):
            return []
        sources = (self.facts, self.attributes)
        return [
            texts_in(source, "regions")
            for source in sources
            if source is not None and isinstance(source.get("regions"), (list, tuple))
        ]

    def signals(self, name: str) -> list[float]:
        """The readings of a signal: the fact's and the caller's, as far as they are finite numbers."""
        found = []
        for source in (self.facts, self.attributes):
            if source is not None:
                value = finite(object_in(source, "signals").get(name))
                if value is not None:
                    found.append(value)
        return found

    def matches_any(self, predicate: Predicate) -> bool:
        """Whether a restricting rule's condition holds for any reading of the item."""
        return any(predicate(reading) for reading in self.readings())

    def matches_all(self, predicate: Predicate) -> bool:
        """Whether an admitting or promoting rule's condition holds for every reading of the item."""
        return all(predicate(reading) for reading in self.readings())

    def readings(self) -> tuple[Mapping[str, object], ...]:
        """The item as conditions see it: one reading, or two where facts and caller differ (facts first)."""
        if self._readings is None:
            self._readings = self._read()
        return self._readings

    def _read(self) -> tuple[Mapping[str, object], ...]:
        own = {"id": self.id, "available": self.available()}
        if self.facts is None:
            return ({"signals": NOTHING, **self.attributes, **own},)
        known = object_in(self.facts, "attributes")
        stated = object_in(self.facts, "signals")
        said = object_in(self.attributes, "signals")
        facts_first = {**self.attributes, **known, **own, "signals": {**said, **stated}}
        if not _differ(known, self.attributes) and not _differ(stated, said):
            return (facts_first,)
        return (facts_first, {**known, **self.attributes, **own, "signals": {**stated, **said}})


def _differ(facts: Body, said: Body) -> bool:
    fewer, more = (facts, said) if len(facts) < len(said) else (said, facts)
    return any(name in more and not same_json(more[name], value) for name, value in fewer.items())
