"""Bucketing: which of 10,000 buckets a unit falls into, the same as every GrowthBook SDK computes it.

The hash is 32-bit FNV-1a over UTF-16 code units, as the JavaScript reference SDK does. SDKs disagree about characters
outside the Basic Multilingual Plane (the Python SDK hashes code points), and the same visible name may be written
composed or decomposed; unit ids are therefore brought to Unicode NFC by `unit_text` before they are hashed, and ids
that must bucket identically in every SDK should be ASCII.
"""

from collections.abc import Iterable
from unicodedata import normalize

from controlplane.engine.coercion import number_text

BUCKETS = 10_000
_OFFSET = 0x811C9DC5
_PRIME = 0x01000193
_MASK = 0xFFFFFFFF


def _code_units(text: str) -> Iterable[int]:
    if text.isascii():
        return text.encode("ascii")
    raw = text.encode("utf-16-le", "surrogatepass")
    return [raw[i] | raw[i + 1] << 8 for i in range(0, len(raw), 2)]


def fnv32a(text: str, state: int = _OFFSET) -> int:
    """32-bit FNV-1a of `text`. `state` continues an earlier hash: fnv32a(a + b) == fnv32a(b, fnv32a(a)).

    >>> fnv32a("")
    2166136261
    """
    for unit in _code_units(text):
        state = ((state ^ unit) * _PRIME) & _MASK
    return state


def salted(salt: str) -> int:
    """The hash state after `salt`, so that a rule hashes its salt once and each unit only its own characters."""
    return fnv32a(salt)


def bucket_after(state: int, value: str) -> int:
    """Bucket 0..9999 of `value` under a salt hashed beforehand by `salted` (GrowthBook hash version 2)."""
    for unit in _code_units(value):
        state = ((state ^ unit) * _PRIME) & _MASK
    second = _OFFSET
    for unit in b"%d" % state:
        second = ((second ^ unit) * _PRIME) & _MASK
    return second % BUCKETS


def bucket(salt: str, value: str) -> int:
    """Bucket 0..9999 of `value` under `salt`: fnv32a(str(fnv32a(salt + value))) mod 10,000.

    >>> bucket("seed", "a")
    505
    """
    return bucket_after(fnv32a(salt), value)


def gb_hash(seed: str, value: str, version: int) -> float | None:
    """GrowthBook's hash in [0, 1): version 1 in steps of 1/1000, version 2 in steps of 1/10,000; None for others.

    >>> gb_hash("", "a", 1), gb_hash("seed", "a", 2), gb_hash("seed", "a", 99)
    (0.22, 0.0505, None)
    """
    if version == 2:
        return bucket(seed, value) / BUCKETS
    if version == 1:
        return fnv32a(value + seed) % 1000 / 1000
    return None


def unit_text(value: object) -> str:
    """The text under which a unit id is hashed; empty when there is no usable id.

    Strings are brought to NFC; numbers are written as JavaScript writes them; 0, booleans, null and structures are no
    ids (a GrowthBook SDK refuses them too).
    """
    if isinstance(value, str):
        if value.isascii():
            return value
        return normalize("NFC", value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value == 0 or value != value:
        return ""
    return number_text(value)
