"""Guardrails: which items may not be shown, to whom, and which are shown lower or labelled."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from controlplane.engine.bodies import (
    Body,
    number_in,
    text_in,
    texts_in,
    whole_in,
)
from controlplane.engine.coercion import finite
from controlplane.engine.conditions import Predicate, compile_condition
from controlplane.engine.index import RuleIndex
from controlplane.engine.instants import window_keys
from controlplane.engine.items import Item
from controlplane.engine.problems import ConditionError
from controlplane.engine.schema import ACTIONS
from controlplane.engine.subjects import Subject

COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    ">=": lambda value, threshold: value >= threshold,
    ">": lambda value, threshold: value > threshold,
    "<=": lambda value, threshold: value <= threshold,
    "<": lambda value, threshold: value < threshold,
    "==": lambda value, threshold: value == threshold,
    "!=": lambda value, threshold: value != threshold,
}
REFUSING = ("block", "region_block", "age_gate")
LEAST_DEMOTION = 0.0001


class Guardrail:
    """One guardrail. An action, an operator or a condition that cannot be read restricts, as its fail mode says."""

    __slots__ = (
        "_applies",
        "action",
        "code",
        "compare",
        "condition",
        "factor",
        "fails_closed",
        "key",
        "live",
        "max_share",
        "min_age",
        "name",
        "op",
        "rank",
        "regions",
        "signal",
        "threshold",
        "version",
        "windows",
    )

    def __init__(self, body: Body) -> None:
        self.key = text_in(body, "key")
        self.version = whole_in(body, "version")
        self.name = f"guardrail:{self.key}"
        self.code = f"{self.name}@{self.version}"
        action = text_in(body, "action")
        self.action = action if action in ACTIONS else "block"
        signal = body.get("signal")
        self.signal = signal if isinstance(signal, str) and signal else None
        self.op = text_in(body, "op", ">=")
        self.compare = COMPARE.get(self.op, COMPARE[">="])
        self.threshold = number_in(body, "threshold", 0.0)
        self.fails_closed = body.get("missing") == "fail_closed"
        self.condition = body.get("condition")
        self.factor = min(1.0, max(LEAST_DEMOTION, number_in(body, "factor", 0.5)))
        self.min_age = number_in(body, "min_age", 18.0)
        self.regions = frozenset(texts_in(body, "regions"))
        self.max_share = whole_in(body, "max_share")
        self.live = body.get("status") != "shadow"
        self.windows = window_keys(body.get("windows"))
        self.rank = 0
        self._applies: Predicate | None = None

    def stands(self, subject: Subject) -> bool:
        """Whether the guardrail is in its window. One that cannot be judged stands."""
        return subject.in_window(self.windows, unreadable=True)

    def concerns(self, item: Item) -> bool:
        """Whether the item's signal and attributes trip the guardrail."""
        if self.signal is not None:
            values = item.signals(self.signal)
            if not values:
                if not self.fails_closed:
                    return False
            elif not any(self.compare(value, self.threshold) for value in values):
                return False
        return self.condition is None or item.matches_any(self._predicate())

    def admits(self, subject: Subject) -> bool:
        """Whether an item that trips the guardrail may be shown to this request all the same.

        An age or region gate whose attribute is missing from the request does not admit.
        """
        if self.action == "age_gate":
            age = finite(subject.attributes.get("age"))
            return age is not None and age >= self.min_age
        if self.action == "region_block":
            region = region_of(subject)
            return region is not None and region not in self.regions
        return self.action != "block"

    def _predicate(self) -> Predicate:
        if self._applies is None:
            try:
                self._applies = compile_condition(self.condition, strict=True)
            except ConditionError:
                closed = self.fails_closed
                self._applies = lambda _: closed
        return self._applies


def region_of(subject: Subject) -> str | None:
    """The region a request comes from: its attribute `region`, else `country`."""
    for name in ("region", "country"):
        value = subject.attributes.get(name)
        if isinstance(value, str) and value:
            return value
    return None


class _Threshold(NamedTuple):
    """Guardrails of one signal and one operator, by threshold."""

    signal: str
    op: str
    bounds: list[float]
    rails: list[Guardrail]
    closed: list[Guardrail]

    def tripped(self, values: list[float]) -> list[Guardrail]:
        """The guardrails that one of the values trips; with no value, those that fail closed."""
        if not values:
            return self.closed
        if self.op == ">=":
            return self.rails[: bisect_right(self.bounds, max(values))]
        if self.op == ">":
            return self.rails[: bisect_left(self.bounds, max(values))]
        if self.op == "<=":
            return self.rails[bisect_left(self.bounds, min(values)) :]
        if self.op == "<":
            return self.rails[bisect_right(self.bounds, min(values)) :]
        return [rail for rail in self.rails if any(rail.compare(value, rail.threshold) for value in values)]


class Guardrails:
    """The guardrails of one surface, found by signal and threshold or by what their item condition demands."""

    __slots__ = ("_by_facts", "_conditional", "_thresholds", "caps")

    def __init__(self, bodies: Iterable[Body]) -> None:
        rails = [Guardrail(body) for body in bodies]
        rails.sort(key=lambda rail: (ACTIONS.index(rail.action), rail.key))
        for rank, rail in enumerate(rails):
            rail.rank = rank
        self.caps = [rail for rail in rails if rail.action == "slate_cap"]
        per_item = [rail for rail in rails if rail.action != "slate_cap"]
        self._thresholds = _by_threshold(rail for rail in per_item if rail.signal is not None)
        self._by_facts: dict[str, tuple[Guardrail, ...]] = {}
        self._conditional = RuleIndex((rail, rail.condition) for rail in per_item if rail.signal is None)

    def on(self, item: Item, subject: Subject) -> list[Guardrail]:
        """The guardrails that stand and that the item trips, the most restrictive first."""
        found = [
            rail
            for rail in self._signalled(item)
            if rail.stands(subject) and (rail.condition is None or rail.concerns(item))
        ]
        if self._conditional:
            for reading in item.readings():
                for rail in self._conditional.possible(reading):
                    if rail not in found and rail.stands(subject) and rail.concerns(item):
                        found.append(rail)
        if len(found) > 1:
            found.sort(key=lambda rail: rail.rank)
        return found

    def _signalled(self, item: Item) -> Sequence[Guardrail]:
        """The guardrails that the item's signals trip. What facts alone trip is worked out once per revision."""
        if not self._thresholds:
            return ()
        if item.facts is None or item.attributes.get("signals") is not None:
            return self._tripped(item)
        tripped = self._by_facts.get(item.id)
        if tripped is None:
            tripped = self._by_facts[item.id] = tuple(self._tripped(item))
        return tripped

    def _tripped(self, item: Item) -> list[Guardrail]:
        found: list[Guardrail] = []
        for group in self._thresholds:
            found += group.tripped(item.signals(group.signal))
        return found


def _by_threshold(rails: Iterable[Guardrail]) -> list[_Threshold]:
    groups: dict[tuple[str, str], list[Guardrail]] = {}
    for rail in rails:
        groups.setdefault((rail.signal or "", rail.op), []).append(rail)
    thresholds = []
    for (signal, op), members in groups.items():
        members.sort(key=lambda rail: rail.threshold)
        closed = [rail for rail in members if rail.fails_closed]
        thresholds.append(_Threshold(signal, op, [rail.threshold for rail in members], members, closed))
    return thresholds
