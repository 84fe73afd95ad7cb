"""What can be wrong with a body: bytes that are no JSON, JSON of another shape, and good bodies with one thing wrong."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

WRONG_FOR: dict[type, tuple[Any, ...]] = {
    str: (7, 2.5, True, ["x"], {"x": 1}, "\x00", "half \ud800"),
    int: ("7", 2.5, True, [7], {"x": 7}, 10**30, -(2**63)),
    float: ("2.5", True, [2.5], {"x": 1}, 1e308),
    bool: ("yes", 1, [True], {"x": True}),
    list: ("x", 7, {"x": 1}, [[]], [7], [None]),
    dict: ("x", 7, True, ["x"]),
}
UNKNOWN = "colour_of_the_sky"
DEEP = 1_000


@dataclass(frozen=True)
class Mutation:
    """One way to spoil a body. `field` is the dotted path at fault, "" for the whole."""

    name: str
    body: bytes
    field: str = ""
    content_type: str = "application/json"
    statuses: tuple[int, ...] = (400,)


def broken_bytes(good: Any) -> Iterator[Mutation]:
    """Bodies that cannot be read at all, whatever the route expects."""
    text = json.dumps(good)
    yield Mutation("no JSON", b"{key: 1}")
    yield Mutation("cut off", text[:-1].encode() or b"{")
    yield Mutation("two documents", text.encode() + text.encode())
    yield Mutation("duplicate key", b'{"key": "a", "key": "b"}')
    yield Mutation("duplicate key within", b'{"content": {"reason": "a", "reason": "b"}}')
    yield Mutation("NUL in text", b'{"key": "a\\u0000b"}')
    yield Mutation("NUL in a name", b'{"a\\u0000b": 1}')
    yield Mutation("NUL byte", b'{"key": "a\x00b"}')
    yield Mutation("no UTF-8", b'{"key": "\xff\xfe"}')
    yield Mutation("UTF-16", text.encode("utf-16"))
    yield Mutation("half a surrogate pair", b'{"key": "\\ud800"}')
    yield Mutation("deep lists", b'{"content": ' + b"[" * DEEP + b"]" * DEEP + b"}")
    yield Mutation("deep objects", b'{"content": ' + b'{"a":' * DEEP + b"1" + b"}" * (DEEP + 1))
    yield Mutation("bottomless", b"[" * 200_000)
    yield Mutation("huge integer", b'{"version": 1' + b"0" * 5_000 + b"}")
    yield Mutation("integer beyond 64 bits", b'{"version": 9223372036854775808}')
    yield Mutation("NaN", b'{"coverage": NaN}')
    yield Mutation("infinity", b'{"coverage": -Infinity}')
    yield Mutation("number too large", b'{"coverage": 1e999}')
    yield Mutation("5 MB", b'{"key": "' + b"x" * 5_000_000 + b'"}', statuses=(413,))
    for other in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "a b c",
    ):
        yield Mutation(f"content type {other}", text.encode(), content_type=other, statuses=(415,))


def other_tops() -> Iterator[Mutation]:
    """JSON that is no object."""
    tops: tuple[Any, ...] = ([1], "text", 7, 2.5, True, [{}])
    for top in tops:
        yield Mutation(f"top {top!r}", json.dumps(top).encode())


def paths(value: Any, within: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Every place in a body with its value. Conditions and parameters are languages of their own: not entered."""
    if within:
        yield within, value
    if within and within[-1] in {"condition", "parameters"}:
        return
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, one in inner:
        yield from paths(one, (*within, name))


def _with(good: Any, path: tuple[str | int, ...], value: Any) -> bytes:
    changed = copy.deepcopy(good)
    place = changed
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return json.dumps(changed).encode()


def wrong_fields(good: dict[str, Any]) -> Iterator[Mutation]:
    """The good body with one field of another type, or one field that does not exist."""
    for path, value in paths(good):
        dotted = ".".join(map(str, path))
        for wrong in WRONG_FOR.get(type(value), ()):
            unreadable = isinstance(wrong, int) and abs(wrong) >= 2**63
            unreadable = unreadable or (isinstance(wrong, str) and wrong[-1:] in {"\x00", "\ud800"})
            yield Mutation(
                f"{dotted} = {wrong!r}", _with(good, path, wrong), field="" if unreadable else dotted
            )
        if isinstance(value, dict) and path[-1] not in {"condition", "parameters"}:
            yield Mutation(f"{dotted} has {UNKNOWN}", _with(good, (*path, UNKNOWN), 1), f"{dotted}.{UNKNOWN}")
    yield Mutation(f"has {UNKNOWN}", _with(good, (UNKNOWN,), 1), UNKNOWN)
