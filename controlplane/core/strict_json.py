"""JSON as the RFC has it, for every door: one value per name, no NaN, no NUL characters, no bottomless nesting."""

from __future__ import annotations

import json
import re
from typing import Any, Final

import orjson

MAX_DEPTH: Final = 40
_LONGEST_INTEGER: Final = 20  # digits of 2**63, and a sign
_INFINITE: Final = float("inf")
_NAME_TOKEN = re.compile(rb'"\s*:')
_LONG_NUMBER = re.compile(rb"[0-9]{19}")


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"the name {name!r} appears twice in one object")
        found[name] = value
    return found


def _constant(text: str) -> Any:
    raise ValueError(f"{text} is not a JSON number")


def _integer(text: str) -> int:
    if len(text) > _LONGEST_INTEGER:
        raise ValueError("an integer is beyond 64 bits")
    return int(text)


def _check(value: Any, depth: int = 0) -> int:
    """How many names the value's objects have together. Raises ValueError on what cannot be stored."""
    if depth > MAX_DEPTH:
        raise ValueError(f"the document is nested deeper than {MAX_DEPTH} levels")
    kind = type(value)
    if kind is str:
        _check_text(value)
    elif kind is dict:
        names = len(value)
        for name, inner in value.items():
            _check_text(name)
            # Text is most of what there is: it is looked at here, without another call.
            if type(inner) is not str:
                names += _check(inner, depth + 1)
            elif "\x00" in inner or not inner.isascii():
                _check_text(inner)
        return names
    elif kind is list:
        return sum(_check(inner, depth + 1) for inner in value)
    elif kind is float and value in (_INFINITE, -_INFINITE):
        raise ValueError("a number is too large")
    elif kind is int and abs(value) >= 2**63:
        raise ValueError("an integer is beyond 64 bits")
    return 0


def _check_text(value: str) -> None:
    if "\x00" in value:
        raise ValueError("text contains a NUL character")
    if value.isascii():
        return
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("text contains half of a surrogate pair") from None


def parse_json(data: bytes) -> Any:
    """The value. Raises ValueError that says what is wrong."""
    try:
        value = json.loads(
            data.decode("utf-8"), object_pairs_hook=_pairs, parse_constant=_constant, parse_int=_integer
        )
    except UnicodeDecodeError as error:
        raise ValueError(f"the text is not UTF-8 (byte {error.start})") from error
    except json.JSONDecodeError as error:
        raise ValueError(
            f"the text is not JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        ) from error
    except RecursionError as error:
        raise ValueError(f"the document is nested deeper than {MAX_DEPTH} levels") from error
    _check(value)
    return value


def parse_line(data: bytes) -> Any:
    """What `parse_json` answers, several times faster for the line that has nothing wrong with it.

    Every name of an object shows as a quote and a colon. When there are no more of them than names in the parsed
    value, none came twice; a text that merely looks like a name costs the slow way, never a wrong answer. The fast
    parser rounds integers beyond 64 bits, so long numbers go the slow way too.
    """
    if _LONG_NUMBER.search(data):
        return parse_json(data)
    try:
        value = orjson.loads(data)
        if _check(value) == len(_NAME_TOKEN.findall(data)):
            return value
    except (ValueError, RecursionError):
        pass
    return parse_json(data)
