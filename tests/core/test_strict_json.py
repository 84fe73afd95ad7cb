"""JSON that means one thing only; the fast way answers what the slow way answers."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.core.strict_json import MAX_DEPTH, parse_json, parse_line

REFUSED = [
    (b"", "not JSON"),
    (b"{", "not JSON"),
    (b"{'a': 1}", "not JSON"),
    (b"[1,]", "not JSON"),
    (b"{} {}", "not JSON"),
    (b"01", "not JSON"),
    (b'"\n"', "not JSON"),
    (b'{"a": NaN}', "NaN is not a JSON number"),
    (b"-Infinity", "-Infinity is not a JSON number"),
    (b"1e999", "a number is too large"),
    (b"9223372036854775808", "an integer is beyond 64 bits"),
    (b"-9223372036854775808", "an integer is beyond 64 bits"),
    (b'{"a": 1, "a": 1}', "the name 'a' appears twice"),
    (b'{"a": {"b": 1, "b": 2}}', "the name 'b' appears twice"),
    (b'{"a": 1, "\\u0061": 2}', "the name 'a' appears twice"),
    (b'[{"a": 1}, {"a": 1, "a": 2}]', "the name 'a' appears twice"),
    (b'"\\u0000"', "text contains a NUL character"),
    (b'{"\\u0000": 1}', "text contains a NUL character"),
    (b'"\\ud83d"', "text contains half of a surrogate pair"),
    (b'{"\\udc00": 1}', "text contains half of a surrogate pair"),
    (b'"\xff"', "not UTF-8 (byte 1)"),
    (b"\xef\xbb\xbf{}", "not JSON"),
    (b"[" * (MAX_DEPTH + 2) + b"]" * (MAX_DEPTH + 2), "nested deeper than 40 levels"),
    (b"[" * 200_000, "nested deeper than 40 levels"),
    (b'{"a":' * 200_000, "nested deeper than 40 levels"),
]


@pytest.mark.parametrize("parse", [parse_json, parse_line])
@pytest.mark.parametrize(("data", "reason"), REFUSED, ids=[str(number) for number in range(len(REFUSED))])
def test_parse__not_strict_json__says_why(parse: Any, data: bytes, reason: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse(data)

    assert reason in str(caught.value)


@pytest.mark.parametrize("parse", [parse_json, parse_line])
@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b' {"a": [1, 2.5, null, true, "\xc3\xbc"]} ', {"a": [1, 2.5, None, True, "ü"]}),
        (b'"\\ud83d\\ude00"', "😀"),
        (b"9223372036854775807", 2**63 - 1),
        (b"-0.0", -0.0),
        (b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, None),
        (b'{"a":"x\\":y","b":"\\":"}', {"a": 'x":y', "b": '":'}),
        (b'{"a" \t: {"a": {"a": 1}}}', {"a": {"a": {"a": 1}}}),
    ],
)
def test_parse__strict_json__is_the_value(parse: Any, data: bytes, value: Any) -> None:
    parsed = parse(data)

    assert value is None or parsed == value


names = st.text(alphabet=st.sampled_from('ab":\\ \t,{}\x00é\ud800'), max_size=4)
scalars = st.none() | st.booleans() | st.integers(-(2**65), 2**65) | st.floats() | names
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)


def outcome(parse: Any, data: bytes) -> str:
    try:
        return repr(parse(data))
    except ValueError as error:
        return str(error)


@settings(max_examples=400, deadline=None)
@given(values, st.data())
def test_parse_line__any_text__answers_as_parse_json(value: Any, data: st.DataObject) -> None:
    text = json.dumps(value).encode()
    twice = text.replace(b"}", b', "a": 1}', 1) if data.draw(st.booleans()) else text
    cut = twice[: data.draw(st.integers(0, len(twice)))] if data.draw(st.booleans()) else twice

    assert outcome(parse_line, cut) == outcome(parse_json, cut)
