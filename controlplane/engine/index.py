"""Finding the rules that can match without asking every rule: an index by attribute value."""

from collections.abc import Callable, Iterable, Mapping
from typing import Generic, TypeVar

R = TypeVar("R")
T = TypeVar("T")
_UNANCHORED = frozenset(("available", "signals"))


def anchor(condition: object) -> tuple[str, tuple[str, ...]] | None:
    """An attribute and the texts it must have for the condition to hold, if the condition says so at its top level.

    >>> anchor({"brand": "acme", "price": {"$gt": 5}}), anchor({"price": {"$gt": 5}})
    (('brand', ('acme',)), None)
    """
    if not isinstance(condition, Mapping):
        return None
    for name, expected in condition.items():
        if not isinstance(name, str) or name.startswith("$") or "." in name or name in _UNANCHORED:
            continue
        if isinstance(expected, str):
            return name, (expected,)
        if isinstance(expected, Mapping) and len(expected) == 1:
            exact = expected.get("$eq")
            if isinstance(exact, str):
                return name, (exact,)
            listed = expected.get("$in")
            if isinstance(listed, (list, tuple)) and all(isinstance(one, str) for one in listed):
                return name, tuple(dict.fromkeys(listed))
    return None


class GroupIndex(Generic[R, T]):
    """Rules in groups by the attribute value their condition demands; rules that demand none are one group."""

    __slots__ = ("_by_name", "_everywhere")

    def __init__(self, rules: Iterable[tuple[R, object]], group: Callable[[list[R]], T]) -> None:
        everywhere: list[R] = []
        tables: dict[str, tuple[dict[str, list[R]], list[R]]] = {}
        for rule, condition in rules:
            found = anchor(condition)
            if found is None:
                everywhere.append(rule)
                continue
            name, texts = found
            table, every = tables.setdefault(name, ({}, []))
            every.append(rule)
            for text in texts:
                table.setdefault(text, []).append(rule)
        self._everywhere = [group(everywhere)] if everywhere else []
        self._by_name = [
            (name, {text: group(some) for text, some in table.items()}, group(every))
            for name, (table, every) in tables.items()
        ]

    def __bool__(self) -> bool:
        return bool(self._everywhere or self._by_name)

    def possible(self, subject: Mapping[str, object]) -> list[T]:
        """The groups that hold every rule whose condition could hold for the subject."""
        found = list(self._everywhere)
        for name, table, every in self._by_name:
            value = subject.get(name)
            if type(value) is str:
                hit = table.get(value)
            elif value is None:
                hit = table.get("null")
            else:
                hit = every
            if hit is not None:
                found.append(hit)
        return found


class RuleIndex(Generic[R]):
    """Rules by the attribute value their condition demands; rules that demand none are always possible."""

    __slots__ = ("_groups",)

    def __init__(self, rules: Iterable[tuple[R, object]]) -> None:
        self._groups: GroupIndex[R, list[R]] = GroupIndex(rules, list)

    def __bool__(self) -> bool:
        return bool(self._groups)

    def possible(self, subject: Mapping[str, object]) -> list[R]:
        """Every rule whose condition could hold for the subject; the caller still evaluates the condition."""
        groups = self._groups.possible(subject)
        if len(groups) == 1:
            return groups[0]
        return [rule for group in groups for rule in group]
