"""Every operation by its one name: for permissions, approvals, audit, routes and tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class RegisteredOperation:
    """An operation's name, its words for people, and the service function that carries it out."""

    name: str
    title: str
    function: Callable[..., Any]
    publishes: bool
    """Whether it can change what serving systems get, so that a publish must follow."""


_OPERATIONS: dict[str, RegisteredOperation] = {}


def register(name: str, *, title: str, publishes: bool = False) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorate the service function of the operation `app.verb`. Raises ValueError when the name is taken."""

    def add(function: Callable[P, R]) -> Callable[P, R]:
        if name in _OPERATIONS and _OPERATIONS[name].function.__qualname__ != function.__qualname__:
            raise ValueError(f"two functions want to be the operation {name}")
        _OPERATIONS[name] = RegisteredOperation(
            name=name, title=title, function=function, publishes=publishes
        )
        return function

    return add


def find(name: str) -> RegisteredOperation:
    """The operation of that name. Raises LookupError when there is none."""
    try:
        return _OPERATIONS[name]
    except KeyError:
        raise LookupError(f"there is no operation named {name}") from None


def every() -> Iterator[RegisteredOperation]:
    """All registered operations, by name."""
    for name in sorted(_OPERATIONS):
        yield _OPERATIONS[name]
