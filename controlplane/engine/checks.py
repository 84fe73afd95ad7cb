"""The shapes that documents are made of: small checks that say where a value is wrong, why, and what to write."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from controlplane.engine.coercion import finite
from controlplane.engine.conditions import compile_condition
from controlplane.engine.instants import instant_key, window_keys
from controlplane.engine.problems import ConditionError, Problem

Check = Callable[[object, str], Iterator[Problem]]
LONGEST_KEY = 200
BUCKETS = 10_000


class Field(NamedTuple):
    """What an object's field must look like."""

    check: Check
    required: bool = False
    nullable: bool = False


def check_object(fields: Mapping[str, Field], value: object, path: str) -> Iterator[Problem]:
    """Fields that are missing, unknown, or not of their shape."""
    if not isinstance(value, Mapping):
        yield Problem(path, "missing or not an object", "send {name: value}")
        return
    for name in value:
        if name not in fields:
            yield Problem(f"{path}.{name}", "unknown field", f"use one of {', '.join(fields)}")
    for name, field in fields.items():
        here = f"{path}.{name}"
        if name not in value:
            if field.required:
                yield Problem(here, "missing", f"add {name}")
        elif value[name] is None:
            if not field.nullable:
                yield Problem(here, "null", "leave the field out or give it a value")
        else:
            yield from field.check(value[name], here)


def object_of(fields: Mapping[str, Field]) -> Check:
    return lambda value, path: check_object(fields, value, path)


def listed(check: Check) -> Check:
    def each(value: object, path: str) -> Iterator[Problem]:
        if not isinstance(value, (list, tuple)):
            yield Problem(path, "not a list", "wrap the value in [ ]")
            return
        for at, one in enumerate(value):
            yield from check(one, f"{path}[{at}]")

    return each


def mapped(check: Check | None) -> Check:
    """An object with free names whose values have one shape (None: any)."""

    def each(value: object, path: str) -> Iterator[Problem]:
        if not isinstance(value, Mapping):
            yield Problem(path, "not an object", "send {name: value}")
            return
        for name, one in value.items():
            if not isinstance(name, str):
                yield Problem(f"{path}.{name}", "a name is text", "quote the name")
            elif check is not None:
                yield from check(one, f"{path}.{name}")

    return each


def text(value: object, path: str) -> Iterator[Problem]:
    if not isinstance(value, str):
        yield Problem(path, "not text", "send a string")


def identifier(value: object, path: str) -> Iterator[Problem]:
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_KEY:
        yield Problem(path, f"not text of 1 to {LONGEST_KEY} characters", "send a key")


def texts(value: object, path: str) -> Iterator[Problem]:
    yield from listed(identifier)(value, path)


def flag(value: object, path: str) -> Iterator[Problem]:
    if not isinstance(value, bool):
        yield Problem(path, "not true or false", "send a boolean")


def number(value: object, path: str) -> Iterator[Problem]:
    if finite(value) is None:
        yield Problem(path, "not a finite number", "send a number")


def whole(low: int | None = None, high: int | None = None) -> Check:
    def within(value: object, path: str) -> Iterator[Problem]:
        if isinstance(value, bool) or not isinstance(value, int):
            yield Problem(path, "not a whole number", "send an integer")
        elif (low is not None and value < low) or (high is not None and value > high):
            bounds = f"from {low}" + ("" if high is None else f" to {high}")
            yield Problem(path, f"{value} is out of bounds", f"send an integer {bounds}")

    return within


def one_of(allowed: Sequence[object]) -> Check:
    def among(value: object, path: str) -> Iterator[Problem]:
        if isinstance(value, bool) or value not in allowed:
            yield Problem(path, f"{value!r} is not known", f"use one of {', '.join(map(str, allowed))}")

    return among


def instant(value: object, path: str) -> Iterator[Problem]:
    if instant_key(value) is None:
        yield Problem(path, "not a UTC instant", "write it as 2026-11-23T10:00:00Z")


def windows(value: object, path: str) -> Iterator[Problem]:
    keys = window_keys(value)
    if keys is None:
        yield Problem(path, "not a list of [from, until] in UTC", 'write [["2026-11-23T10:00:00Z", null]]')
        return
    for at, (start, end) in enumerate(keys):
        if start >= end:
            yield Problem(f"{path}[{at}]", "ends before it starts", "put the later instant second")


def condition(value: object, path: str) -> Iterator[Problem]:
    try:
        compile_condition(value, strict=True)
    except ConditionError as error:
        yield Problem(f"{path}.{error.path}" if error.path else path, error.message, error.remedy)


def ranges(value: object, path: str) -> Iterator[Problem]:
    if not isinstance(value, (list, tuple)):
        yield Problem(path, "not a list of [low, high]", "write [[0, 5000]]")
        return
    for at, pair in enumerate(value):
        good = (
            isinstance(pair, (list, tuple))
            and len(pair) == 2
            and all(isinstance(bound, int) and not isinstance(bound, bool) for bound in pair)
        )
        if not good or not 0 <= pair[0] <= pair[1] <= BUCKETS:
            yield Problem(
                f"{path}[{at}]",
                f"not [low, high) within 0 to {BUCKETS}",
                "use integers of 1/10,000, low first",
            )
