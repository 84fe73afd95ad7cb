"""Targeting conditions: GrowthBook's JSON operators, compiled once into predicates over attributes.

One language for experiments, audiences, overrides and guardrails. A condition is an object; its keys are the logical
operators `$and $or $nor $not` or dotted attribute paths; its values are plain JSON (loose equality, as in JavaScript)
or an object of operators. A missing attribute reads as null.

`strict=True` is for rules people save: whatever would silently never match (an unknown operator, an operand of the
wrong type, a pattern outside the safe subset) raises ConditionError with the place and the remedy. `strict=False` is
for payloads of others: what cannot be understood is false, and compiling never raises.

Differences from the JavaScript SDK, on purpose: objects are equal whatever the order of their keys; patterns outside
the safe subset do not match; nesting deeper than 32 levels does not match.
"""

from collections.abc import Callable, Iterator, Mapping

from controlplane.engine.coercion import truthy
from controlplane.engine.operators import CONTEXT_FREE, Test, equality, never
from controlplane.engine.problems import ConditionError

DEEPEST = 32
Predicate = Callable[[Mapping[str, object]], bool]
_Read = Callable[[object], bool]
_LOGICAL = ("$and", "$or", "$nor", "$not")
NESTING = ("$not", "$size", "$elemMatch", "$all", "$alli")
GROUPS = ("$inGroup", "$notInGroup")
OPERATORS = frozenset(CONTEXT_FREE) | frozenset(NESTING) | frozenset(GROUPS)


def compile_condition(
    condition: object,
    *,
    strict: bool = False,
    saved_groups: Mapping[str, object] | None = None,
) -> Predicate:
    """The condition as a predicate over attributes. None and {} are always true.

    >>> compile_condition({"country": {"$in": ["DE", "FR"]}})({"country": "DE"})
    True
    """
    if condition is None:
        return always
    read = _Compiler(strict=strict, saved_groups=saved_groups or {}).condition(condition, "", 0)
    return always if read is _true else read


def always(attributes: Mapping[str, object]) -> bool:
    """The predicate of an absent condition."""
    return True


def _true(value: object) -> bool:
    return True


class _Compiler:
    def __init__(self, *, strict: bool, saved_groups: Mapping[str, object]) -> None:
        self.strict = strict
        self.saved_groups = saved_groups

    def refuse(self, path: str, message: str, remedy: str) -> Test:
        """False for the payloads of others; an error for our own rules."""
        if self.strict:
            raise ConditionError(path, message, remedy)
        return never

    def condition(self, condition: object, path: str, depth: int) -> _Read:
        if depth > DEEPEST:
            return self.refuse(path, f"nested deeper than {DEEPEST} levels", "flatten the condition")
        if not isinstance(condition, Mapping):
            return self.refuse(path, "a condition is a JSON object", 'write {"attribute": value}')
        parts = [self.entry(key, value, path, depth) for key, value in condition.items()]
        return _all_of([part for part in parts if part is not _true])

    def entry(self, key: object, value: object, path: str, depth: int) -> _Read:
        here = f"{path}.{key}" if path else str(key)
        if not isinstance(key, str):
            return self.refuse(here, "an attribute name is text", "quote the name")
        if key not in _LOGICAL:
            if self.strict and key.startswith("$"):
                return self.refuse(
                    here,
                    f"{key} is no logical operator",
                    f"use one of {', '.join(_LOGICAL)} or an attribute name",
                )
            return _at_path(key, self.value(value, here, depth + 1))
        if key == "$not":
            inner = self.condition(value, here, depth + 1)
            return lambda subject: not inner(subject)
        if not isinstance(value, (list, tuple)):
            return self.refuse(here, f"{key} takes a list of conditions", "wrap the condition in [ ]")
        inners = [self.condition(one, f"{here}[{at}]", depth + 1) for at, one in enumerate(value)]
        if key == "$and":
            return _all_of([inner for inner in inners if inner is not _true])
        either = _any_of(inners)
        return either if key == "$or" else lambda subject: not either(subject)

    def value(self, expected: object, path: str, depth: int, *, ignore_case: bool = False) -> Test:
        """The test of one attribute's value: plain JSON is loose equality, an object of operators all of them."""
        if depth > DEEPEST:
            return self.refuse(path, f"nested deeper than {DEEPEST} levels", "flatten the condition")
        if not isinstance(expected, Mapping) or not _is_operators(expected):
            if self.strict and isinstance(expected, Mapping) and any(_is_operator(key) for key in expected):
                return self.refuse(path, "operators and plain keys are mixed", "use operators only")
            return equality(expected, ignore_case=ignore_case)
        tests = [
            self.operator(name, operand, f"{path}.{name}", depth + 1) for name, operand in expected.items()
        ]
        return _all_of(tests)

    def operator(self, name: str, operand: object, path: str, depth: int) -> Test:
        build = CONTEXT_FREE.get(name)
        if build is not None:
            try:
                return build(operand)
            except ConditionError as error:
                return self.refuse(path, error.message, error.remedy)
        if name in GROUPS:
            return self.group(name, operand, path)
        if name not in NESTING:
            return self.refuse(path, f"{name} is no operator", f"use one of {', '.join(sorted(OPERATORS))}")
        if name == "$not":
            inner = self.value(operand, path, depth)
            return lambda actual: not inner(actual)
        if name == "$size":
            return _size(self.value(operand, path, depth))
        if name == "$elemMatch":
            return self.element(operand, path, depth)
        if not isinstance(operand, (list, tuple)):
            return self.refuse(path, f"{name} takes a list", "wrap the value in [ ]")
        each = [self.value(one, path, depth, ignore_case=name == "$alli") for one in operand]
        return _each_found(each)

    def element(self, operand: object, path: str, depth: int) -> Test:
        if not isinstance(operand, Mapping):
            return self.refuse(path, "$elemMatch takes an object", 'write {"$eq": value} or {"key": value}')
        if _is_operators(operand):
            return _some_element(self.value(operand, path, depth))
        return _some_element(self.condition(operand, path, depth))

    def group(self, name: str, operand: object, path: str) -> Test:
        members = self.saved_groups.get(operand) if isinstance(operand, str) else None
        if members is None and self.strict:
            return self.refuse(path, f"the group {operand!r} is not known", "name an existing saved group")
        inside = CONTEXT_FREE["$in"](members if isinstance(members, (list, tuple)) else [])
        return inside if name == "$inGroup" else lambda actual: not inside(actual)


def _is_operator(key: object) -> bool:
    return isinstance(key, str) and key.startswith("$")


def _is_operators(value: Mapping[str, object]) -> bool:
    return bool(value) and all(_is_operator(key) for key in value)


def _all_of(tests: list[_Read]) -> _Read:
    if not tests:
        return _true
    if len(tests) == 1:
        return tests[0]
    if len(tests) == 2:
        first, second = tests
        return lambda subject: first(subject) and second(subject)
    fixed = tuple(tests)

    return lambda subject: all(test(subject) for test in fixed)


def _any_of(tests: list[_Read]) -> _Read:
    if not tests:
        return _true
    if len(tests) == 1:
        return tests[0]
    fixed = tuple(tests)

    return lambda subject: any(test(subject) for test in fixed)


def _at_path(path: str, test: Test) -> _Read:
    if "." not in path:

        def read_key(subject: object) -> bool:
            if type(subject) is dict:
                return test(subject.get(path))
            return test(read_path(subject, (path,)))

        return read_key
    steps = tuple(path.split("."))
    return lambda subject: test(read_path(subject, steps))


def read_path(subject: object, steps: tuple[str, ...]) -> object:
    """The value at a path of keys (and list indexes); null where the path leads nowhere."""
    current = subject
    for step in steps:
        if isinstance(current, Mapping):
            if step not in current:
                return None
            current = current[step]
        elif isinstance(current, (list, tuple)):
            if step == "length":
                current = len(current)
                continue
            if not (step.isascii() and step.isdigit() and len(step) < 9 and int(step) < len(current)):
                return None
            current = current[int(step)]
        else:
            return None
    return current


def _size(test: Test) -> Test:
    return lambda actual: isinstance(actual, (list, tuple)) and test(len(actual))


def _some_element(test: _Read) -> Test:
    def some(actual: object) -> bool:
        return isinstance(actual, (list, tuple)) and any(truthy(one) and test(one) for one in actual)

    return some


def _each_found(tests: list[Test]) -> Test:
    def each(actual: object) -> bool:
        if not isinstance(actual, (list, tuple)):
            return False
        return all(any(test(one) for one in actual) for test in tests)

    return each


def condition_attributes(condition: object) -> frozenset[str]:
    """The attribute paths a condition reads, for checking them against the attribute dictionary.

    >>> sorted(condition_attributes({"$or": [{"country": "DE"}, {"device.os": {"$in": ["ios"]}}]}))
    ['country', 'device.os']
    """
    return frozenset(_attributes(condition, 0))


def _attributes(condition: object, depth: int) -> Iterator[str]:
    if depth > DEEPEST or not isinstance(condition, Mapping):
        return
    for key, value in condition.items():
        if key == "$not":
            yield from _attributes(value, depth + 1)
        elif key in _LOGICAL:
            for one in value if isinstance(value, (list, tuple)) else ():
                yield from _attributes(one, depth + 1)
        elif isinstance(key, str):
            yield key


def condition_size(condition: object, depth: int = 0) -> int:
    """How many attribute tests a condition holds: its specificity when two rules compete."""
    if depth > DEEPEST or not isinstance(condition, Mapping):
        return 0
    size = 0
    for key, value in condition.items():
        if key == "$not":
            size += condition_size(value, depth + 1)
        elif key in _LOGICAL:
            size += (
                sum(condition_size(one, depth + 1) for one in value)
                if isinstance(value, (list, tuple))
                else 0
            )
        elif isinstance(value, Mapping) and _is_operators(value):
            size += len(value)
        else:
            size += 1
    return size
