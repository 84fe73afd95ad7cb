"""Conditions: strict compilation, the safe subset of patterns, and where we differ from other SDKs on purpose."""

import time

import pytest

from controlplane.engine.conditions import compile_condition, condition_attributes, condition_size
from controlplane.engine.patterns import PatternError, compile_pattern
from controlplane.engine.problems import ConditionError


@pytest.mark.parametrize(
    ("condition", "path", "message"),
    [
        ([], "", "a condition is a JSON object"),
        ({"country": {"$inn": ["DE"]}}, "country.$inn", "$inn is no operator"),
        ({"$xor": []}, "$xor", "$xor is no logical operator"),
        ({"$or": {"country": "DE"}}, "$or", "$or takes a list of conditions"),
        ({"country": {"$in": "DE"}}, "country.$in", "a list is needed"),
        ({"country": {"$eq": "DE", "plain": 1}}, "country", "operators and plain keys are mixed"),
        ({"$or": [{"a": 1}, {"b": {"$type": "text"}}]}, "$or[1].b.$type", "'text' is no type"),
        ({"id": {"$inGroup": "ghosts"}}, "id.$inGroup", "the group 'ghosts' is not known"),
        ({"v": {"$vgt": None}}, "v.$vgt", "a version is text"),
        ({"tags": {"$all": "a"}}, "tags.$all", "$all takes a list"),
        ({"tags": {"$elemMatch": 1}}, "tags.$elemMatch", "$elemMatch takes an object"),
    ],
)
def test_compile_condition__strict__refuses_what_would_never_match(
    condition: object, path: str, message: str
) -> None:
    with pytest.raises(ConditionError) as caught:
        compile_condition(condition, strict=True)
    assert (caught.value.path, caught.value.message) == (path, message)
    assert caught.value.remedy


def test_compile_condition__unknown_operator_of_others__is_false() -> None:
    predicate = compile_condition({"country": {"$inn": ["DE"]}})
    assert predicate({"country": "DE"}) is False


def test_compile_condition__nested_too_deep__is_refused_or_false() -> None:
    condition: dict[str, object] = {"a": 1}
    for _ in range(40):
        condition = {"$and": [condition]}
    assert compile_condition(condition)({"a": 1}) is False
    with pytest.raises(ConditionError, match="nested deeper than 32 levels"):
        compile_condition(condition, strict=True)


def test_compile_condition__objects__are_equal_in_any_order_of_keys() -> None:
    assert compile_condition({"size": {"w": 1, "h": 2}})({"size": {"h": 2, "w": 1}}) is True


@pytest.mark.parametrize(
    ("condition", "attributes", "expected"),
    [
        ({"n": 5}, {"n": "5"}, True),
        ({"n": 0}, {}, True),
        ({"n": "null"}, {}, True),
        ({"n": True}, {"n": "yes"}, True),
        ({"n": False}, {}, False),
        ({"n": {"$gt": "10"}}, {"n": "9"}, True),
        ({"n": {"$gt": 10}}, {"n": "9"}, False),
        ({"n": {"$lt": 10}}, {"n": "abc"}, False),
        ({"n": {"$in": [1]}}, {"n": True}, False),
        ({"n": {"$in": [1]}}, {"n": 1.0}, True),
        ({"n": {"$eq": 1}}, {"n": "1"}, False),
        ({"n": "1,2"}, {"n": [1, 2]}, True),
        ({"list.1": "b"}, {"list": ["a", "b"]}, True),
        ({"list.length": 2}, {"list": ["a", "b"]}, True),
        ({"$nor": []}, {}, False),
        ({"$or": []}, {}, True),
        ({"tags": {"$elemMatch": {"$eq": 0}}}, {"tags": [0]}, False),
        ({"n": {"$regex": "^nu"}}, {}, True),
    ],
)
def test_compile_condition__coercion__is_javascripts(
    condition: dict[str, object], attributes: dict[str, object], expected: bool
) -> None:
    assert compile_condition(condition)(attributes) is expected


def test_condition_attributes__of_a_nested_condition__lists_every_path_read() -> None:
    condition = {"$and": [{"a": 1}, {"$not": {"b.c": {"$gt": 1}}}], "d": {"$elemMatch": {"e": 1}}}
    assert condition_attributes(condition) == {"a", "b.c", "d"}
    assert condition_size(condition) == 3


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("^a.c$", "abc", True),
        ("^a.c$", "abc\n", False),
        ("^a.c$", "a\nc", False),
        (r"\d+", "٣", False),
        (r"^\w+$", "é", False),
        (r"\bcat\b", "a cat!", True),
        (r"\Bcat", "bobcat", True),
        (r"[\w.-]+@x\.org", "a.b-c@x.org", True),
        (r"[^\]a]", "]a", False),
        ("a{2,3}?b", "aab", True),
        ("(a|b)c", "bc", True),
        ("a/b", "a/b", True),
        ("x-[a-c-]", "x--", True),
    ],
)
def test_compile_pattern__of_the_subset__means_what_javascript_means(
    pattern: str, text: str, expected: bool
) -> None:
    assert compile_pattern(pattern)(text) is expected


@pytest.mark.parametrize(
    "pattern",
    ["(?=a)", "(?i)a", r"(a)\1", "(?<n>a)", "*a", "a**", "(a", "a)", "[a", "a{2", "[]", r"\p{L}", "a" * 513, "(a+)+",
     "(a|aa)*", "(a?){20}", "a*b*c*d*e*", "]", "a{9,2}", "[z-a]", "^*", r"[\b]"],
)  # fmt: skip
def test_compile_pattern__outside_the_subset__is_refused(pattern: str) -> None:
    with pytest.raises(PatternError):
        compile_pattern(pattern)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [(".*.*.*.*x", "a" * 64), ("a*a*a*x", "a" * 128), ("[a-z]+[a-z]+x", "a" * 384), (".*x", "a" * 2048)],
)
def test_compile_pattern__at_its_worst__ends_soon(pattern: str, text: str) -> None:
    search = compile_pattern(pattern)
    started = time.perf_counter()
    assert search(text) is False
    assert time.perf_counter() - started < 2
    assert search(text + "a" * 5000 + "x") is False
