"""From the bytes of one record to a JSON value, strictly: what a lenient decoder lets pass is refused."""

import json
from typing import Any

import orjson

from controlplane.events.shapes import Refusal

_BLANKS_BEFORE_COLON = (b" :", b"\t:", b"\n:", b"\r:")


def decode(raw: bytes) -> Any | Refusal:
    """The value `raw` spells, or why it spells none: not JSON, not UTF-8, too deep, a NUL, a key named twice."""
    try:
        value = orjson.loads(raw)
    except ValueError as error:
        return _unreadable(error)
    if b"\\" in raw and b"\\u0000" in raw and has_nul(value):
        return Refusal("nul_character", "", "contains the character U+0000", "remove NUL characters")
    if not keys_are_unique(raw, value):
        return Refusal("duplicate_key", "", "an object names a key twice", "send each key of an object once")
    return value


def keys_are_unique(raw: bytes, value: object) -> bool:
    """Does no object in `raw` name a key twice? `value` is what `raw` decodes to.

    The decoder keeps the last of equal keys, so a text that comes out the same when spelled again lost none: the
    common case, because most senders write JSON without blanks. Else keys are counted, by the two characters `":`,
    in the text and in the value spelled again. A string that starts with a colon counts too, but in both, unless it
    vanished with its key; escapes or blanks before a colon would break the count. So equal counts prove uniqueness,
    and everything else gets the slow look.
    """
    try:
        again = orjson.dumps(value)
    except TypeError:
        again = b""
    if again == raw:
        return True
    countable = b"\\" not in raw and not any(blank in raw for blank in _BLANKS_BEFORE_COLON)
    if countable and raw.count(b'":') == again.count(b'":'):
        return True
    try:
        json.loads(raw, object_pairs_hook=_unique_pairs)
    except _DuplicateKey:
        return False
    except RecursionError:
        return True  # no schema takes anything nested so deeply
    return True


def has_nul(value: object) -> bool:
    """Does any string in `value`, keys included, hold the character U+0000? Iterative, so depth does not matter."""
    stack = [value]
    while stack:
        node = stack.pop()
        if isinstance(node, str):
            if "\0" in node:
                return True
        elif isinstance(node, dict):
            stack += node.keys()
            stack += node.values()
        elif isinstance(node, list):
            stack += node
    return False


class _DuplicateKey(Exception):
    pass


def _unique_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise _DuplicateKey
    return result


def _unreadable(error: ValueError) -> Refusal:
    text = str(error)
    if "depth" in text:
        return Refusal("too_deep", "", "is nested too deeply", "nest at most 250 levels")
    if "UTF-8" in text or "surrogate" in text:
        return Refusal("invalid_utf8", "", "is not valid UTF-8 text", "encode the record as UTF-8")
    return Refusal("malformed_json", "", f"is not JSON: {text}", "send one JSON object per line")
