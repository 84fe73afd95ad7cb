"""GrowthBook's value operators, each compiled from its operand into a test of one attribute value.

A builder raises ConditionError (without a path) when its operand makes the operator false for every value.
"""

from collections.abc import Callable, Mapping
from math import isnan

from controlplane.engine.coercion import (
    compare,
    is_number,
    number,
    same_json,
    strictly_equal,
    text,
    truthy,
)
from controlplane.engine.patterns import PatternError, compile_pattern
from controlplane.engine.problems import ConditionError
from controlplane.engine.versions import version_key

Test = Callable[[object], bool]
TYPES = ("string", "number", "boolean", "array", "object", "null", "undefined")


def never(actual: object) -> bool:
    """The test of an operator that cannot be understood."""
    return False


def equality(expected: object, *, ignore_case: bool = False) -> Test:
    """Loose equality with plain JSON, by the type of the expected value: text, number, truth, null or structure."""
    if isinstance(expected, str):
        if ignore_case:
            lowered = expected.lower()
            return lambda actual: text(actual).lower() == lowered
        return lambda actual: actual == expected if type(actual) is str else text(actual) == expected
    if isinstance(expected, bool):
        return lambda actual: actual is not None and truthy(actual) is expected
    if expected is None:
        return lambda actual: actual is None
    if isinstance(expected, (int, float)):
        return lambda actual: number(actual) == expected
    return lambda actual: same_json(actual, expected)


def _eq(expected: object) -> Test:
    if type(expected) is str:
        return lambda actual: type(actual) is str and actual == expected
    return lambda actual: strictly_equal(actual, expected)


def _ne(expected: object) -> Test:
    return lambda actual: not strictly_equal(actual, expected)


def _ordered(accept: Callable[[float], bool]) -> Callable[[object], Test]:
    def build(expected: object) -> Test:
        return lambda actual: accept(compare(actual, expected))

    return build


def _version(accept: Callable[[str, str], bool]) -> Callable[[object], Test]:
    def build(expected: object) -> Test:
        if not isinstance(expected, str) and not is_number(expected):
            raise ConditionError("", "a version is text", 'write it as "1.2.3"')
        wanted = version_key(expected)
        return lambda actual: accept(version_key(actual), wanted)

    return build


def _exists(expected: object) -> Test:
    wanted = truthy(expected)
    return lambda actual: (actual is not None) is wanted


def _type(expected: object) -> Test:
    if expected not in TYPES:
        raise ConditionError("", f"{expected!r} is no type", f"use one of {', '.join(TYPES)}")
    return lambda actual: type_name(actual) == expected


def type_name(value: object) -> str:
    """JSON's name for the type of a value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, str):
        return "string"
    return (
        "object" if isinstance(value, Mapping) else "array" if isinstance(value, (list, tuple)) else "unknown"
    )


def _member(*, ignore_case: bool, negated: bool) -> Callable[[object], Test]:
    def build(expected: object) -> Test:
        if not isinstance(expected, (list, tuple)):
            raise ConditionError("", "a list is needed", "wrap the value in [ ]")
        inside = _membership(expected, ignore_case=ignore_case)
        return (lambda actual: not inside(actual)) if negated else inside

    return build


def _membership(expected: list[object] | tuple[object, ...], *, ignore_case: bool) -> Test:
    """Whether a value, or any element of a list, is one of the expected scalars, types kept apart."""
    texts = frozenset(one.lower() if ignore_case else one for one in expected if isinstance(one, str))
    truths = frozenset(one for one in expected if isinstance(one, bool))
    numbers = frozenset(one for one in expected if is_number(one) and one == one)
    has_null = any(one is None for one in expected)
    has_nan = not ignore_case and any(isinstance(one, float) and isnan(one) for one in expected)

    def one_of(actual: object) -> bool:
        if isinstance(actual, str):
            return (actual.lower() if ignore_case else actual) in texts
        if isinstance(actual, bool):
            return actual in truths
        if isinstance(actual, (int, float)):
            return actual in numbers if actual == actual else has_nan
        return actual is None and has_null

    def inside(actual: object) -> bool:
        if isinstance(actual, (list, tuple)):
            return any(one_of(one) for one in actual)
        return one_of(actual)

    return inside


def _regex(*, ignore_case: bool) -> Callable[[object], Test]:
    def build(expected: object) -> Test:
        try:
            search = compile_pattern(expected, ignore_case=ignore_case)
        except PatternError as error:
            raise ConditionError("", str(error), "keep to the documented subset of patterns") from None
        return lambda actual: search(actual if type(actual) is str else text(actual))

    return build


CONTEXT_FREE: Mapping[str, Callable[[object], Test]] = {
    "$eq": _eq,
    "$ne": _ne,
    "$lt": _ordered(lambda sign: sign < 0),
    "$lte": _ordered(lambda sign: sign <= 0),
    "$gt": _ordered(lambda sign: sign > 0),
    "$gte": _ordered(lambda sign: sign >= 0),
    "$in": _member(ignore_case=False, negated=False),
    "$nin": _member(ignore_case=False, negated=True),
    "$ini": _member(ignore_case=True, negated=False),
    "$nini": _member(ignore_case=True, negated=True),
    "$exists": _exists,
    "$type": _type,
    "$regex": _regex(ignore_case=False),
    "$regexi": _regex(ignore_case=True),
    "$veq": _version(lambda actual, wanted: actual == wanted),
    "$vne": _version(lambda actual, wanted: actual != wanted),
    "$vgt": _version(lambda actual, wanted: actual > wanted),
    "$vgte": _version(lambda actual, wanted: actual >= wanted),
    "$vlt": _version(lambda actual, wanted: actual < wanted),
    "$vlte": _version(lambda actual, wanted: actual <= wanted),
}
