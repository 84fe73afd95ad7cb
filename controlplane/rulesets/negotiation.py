"""What HTTP lets a client ask for: encodings by preference, and not to be sent what it has (RFC 9110)."""

from __future__ import annotations

import re
from functools import lru_cache

IDENTITY = "identity"
ENCODINGS = ("br", "zstd", "gzip", IDENTITY)  # where the client is indifferent, the smallest first
_TAG = re.compile(rb'(?:W/)?"[^"]*"')


@lru_cache(maxsize=512)
def choose_encoding(accept: bytes | None) -> str | None:
    """The encoding to answer with for an `Accept-Encoding`; None when the client accepts none that we have.

    >>> choose_encoding(b"gzip, br;q=0.9"), choose_encoding(None), choose_encoding(b"identity;q=0, *;q=0")
    ('gzip', 'identity', None)
    """
    if accept is None:
        return IDENTITY
    weights = dict(_weight(part) for part in accept.decode("latin-1").lower().split(",") if part.strip())
    if "x-gzip" in weights:
        weights.setdefault("gzip", weights["x-gzip"])
    other = weights.get("*")
    ranked: list[tuple[float, int, str]] = []
    for place, name in enumerate(ENCODINGS):
        # Identity is acceptable unless refused, but comes after what was asked for.
        unnamed = other if other is not None else (0.0001 if name == IDENTITY else 0.0)
        weight = weights.get(name, unnamed)
        if weight > 0:
            ranked.append((-weight, place, name))
    return min(ranked)[2] if ranked else None


def _weight(part: str) -> tuple[str, float]:
    name, *parameters = (piece.strip() for piece in part.split(";"))
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "q":
            try:
                return name, min(1.0, max(0.0, float(value)))
            except ValueError:
                return name, 0.0
    return name, 1.0


def has_match(if_none_match: bytes, etag: bytes) -> bool:
    """Whether an `If-None-Match` names the entity tag, by the weak comparison that header asks for; `*` names any."""
    if if_none_match == etag:
        return True
    if if_none_match.strip() == b"*":
        return True
    return any(found.removeprefix(b"W/") == etag for found in _TAG.findall(if_none_match))
