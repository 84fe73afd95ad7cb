"""Merchandising rules: pins, boosts, buries, hides and required filters, compiled and indexed for one surface."""

from collections.abc import Iterable

from controlplane.engine.bodies import (
    Body,
    number_in,
    object_in,
    text_in,
    texts_in,
    whole_in,
)
from controlplane.engine.conditions import Predicate, compile_condition, condition_size
from controlplane.engine.index import GroupIndex, RuleIndex
from controlplane.engine.instants import instant_key, window_keys
from controlplane.engine.items import Item
from controlplane.engine.subjects import Subject

RESTRICTING = ("hide", "require")


class Override:
    """One rule. Its conditions are compiled when they are first needed."""

    __slots__ = (
        "_matches",
        "_when",
        "audience",
        "code",
        "condition",
        "factor",
        "items",
        "key",
        "kind",
        "listed",
        "must_match_filters",
        "name",
        "position",
        "priority",
        "rank",
        "restricts",
        "specificity",
        "temporary",
        "updated",
        "version",
        "when",
        "windows",
    )

    def __init__(self, body: Body) -> None:
        self.key = text_in(body, "key")
        self.version = whole_in(body, "version")
        self.name = f"override:{self.key}"
        self.code = f"{self.name}@{self.version}"
        self.kind = text_in(body, "type")
        self.restricts = self.kind in RESTRICTING
        self.items = texts_in(body, "items")
        self.listed = frozenset(self.items)
        self.condition = body.get("condition")
        when = object_in(body, "when")
        self.when = when.get("condition")
        self.audience = when.get("audience")
        self.windows = window_keys(body.get("windows"))
        self.position = max(1, whole_in(body, "position", 1))
        self.factor = number_in(body, "factor", 1.0)
        self.must_match_filters = body.get("must_match_filters") is not False
        self.specificity = condition_size(self.when) + (self.audience is not None)
        self.temporary = body.get("temporary") is True
        self.priority = whole_in(body, "priority")
        self.updated = instant_key(body.get("updated_at")) or ""
        self.rank = 0
        self._when: Predicate | None = None
        self._matches: Predicate | None = None

    def applies(self, subject: Subject) -> bool:
        """Whether the rule stands for this request: not switched off, in its window, for this context."""
        applies = subject.applying.get(self)
        if applies is None:
            applies = subject.applying[self] = self._applies(subject)
        return applies

    def _applies(self, subject: Subject) -> bool:
        if self.name in subject.disabled or not subject.in_window(self.windows, unreadable=self.restricts):
            return False
        if self.when is not None:
            if self._when is None:
                self._when = compile_condition(self.when)
            if not self._when(subject.attributes):
                return False
        return self.audience is None or subject.in_audience(self.audience)

    def targets(self, item: Item) -> bool:
        """Whether the rule is about this item: it is listed, or the item condition holds."""
        if item.id in self.listed:
            return True
        if self.condition is None:
            return False
        if self._matches is None:
            self._matches = compile_condition(self.condition)
        return item.matches_any(self._matches) if self.kind == "hide" else item.matches_all(self._matches)


def in_precedence(rules: Iterable[Override]) -> list[Override]:
    """The stronger of two rules first: more conditions, then temporary, priority, newest, and last the key."""
    ordered = sorted(rules, key=lambda rule: rule.key)
    ordered.sort(key=lambda rule: rule.updated, reverse=True)
    ordered.sort(key=lambda rule: (-rule.specificity, not rule.temporary, -rule.priority))
    return ordered


class Table:
    """Rules that act on single items, found by item id or by what their item condition demands."""

    __slots__ = ("_by_item", "_conditional")

    def __init__(self, rules: Iterable[Override]) -> None:
        self._by_item: dict[str, list[Override]] = {}
        conditional = []
        for rule in rules:
            for item in rule.listed:
                self._by_item.setdefault(item, []).append(rule)
            if rule.condition is not None:
                conditional.append((rule, rule.condition))
        self._conditional = RuleIndex(conditional)

    def hits(self, item: Item, subject: Subject, found: list[Override]) -> None:
        """Adds the rules that apply to the request and target the item, and are not found yet."""
        for rule in self._by_item.get(item.id, ()):
            if rule not in found and rule.applies(subject):
                found.append(rule)
        if self._conditional:
            for reading in item.readings():
                for rule in self._conditional.possible(reading):
                    if rule not in found and rule.applies(subject) and rule.targets(item):
                        found.append(rule)


class ItemRules:
    """Rules on single items, set apart by the context they demand, so that a request meets only those of its own."""

    __slots__ = ("_tables",)

    def __init__(self, rules: Iterable[Override]) -> None:
        self._tables = GroupIndex(((rule, rule.when) for rule in rules), Table)

    def of(self, subject: Subject) -> "Selection":
        """The rules that can apply to one request."""
        return Selection(self._tables.possible(subject.attributes), subject)


class Selection:
    """The rules on single items for one request."""

    __slots__ = ("_subject", "_tables")

    def __init__(self, tables: list[Table], subject: Subject) -> None:
        self._tables = tables
        self._subject = subject

    def on(self, item: Item) -> list[Override]:
        """The rules that apply to this request and target this item, the strongest first."""
        found: list[Override] = []
        for table in self._tables:
            table.hits(item, self._subject, found)
        if len(found) > 1:
            found.sort(key=_rank)
        return found


def _rank(rule: Override) -> int:
    return rule.rank


class Overrides:
    """The rules of one surface by type. `pins` are in the order in which they claim positions."""

    __slots__ = ("_pins", "_requires", "hides", "scales")

    def __init__(self, bodies: Iterable[Body]) -> None:
        ordered = in_precedence(Override(body) for body in bodies)
        for rank, rule in enumerate(ordered):
            rule.rank = rank
        self.hides = ItemRules(rule for rule in ordered if rule.kind == "hide")
        self.scales = ItemRules(rule for rule in ordered if rule.kind in ("boost", "bury"))
        self._requires = RuleIndex((rule, rule.when) for rule in ordered if rule.kind == "require")
        self._pins = RuleIndex((rule, rule.when) for rule in ordered if rule.kind == "pin")

    def pins(self, subject: Subject) -> list[Override]:
        """The pins of this request, the one that wins a position first: priority, then precedence."""
        applying = [rule for rule in self._pins.possible(subject.attributes) if rule.applies(subject)]
        applying.sort(key=lambda rule: (-rule.priority, rule.rank))
        return applying

    def requires(self, subject: Subject) -> list[Override]:
        """The required filters of this request, in precedence."""
        applying = [rule for rule in self._requires.possible(subject.attributes) if rule.applies(subject)]
        applying.sort(key=_rank)
        return applying
