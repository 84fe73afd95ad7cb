"""One spelling for every JSON value, so that equal content has equal digests everywhere."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def canonical_json(value: Any) -> bytes:
    """UTF-8 JSON with sorted keys and no spaces. Raises ValueError on NaN and infinities, which JSON cannot say."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def as_stored(value: Any) -> Any:
    """The value as PostgreSQL's jsonb gives it back, so that a digest taken before storing holds afterwards.

    Whole numbers from 2**53 on come back as integers, negative zero as zero, tuples as lists.
    """
    if isinstance(value, Mapping):
        return {str(key): as_stored(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [as_stored(inner) for inner in value]
    if isinstance(value, float):
        return int(value) if 2**53 <= abs(value) < float("inf") else value + 0.0
    return value


def digest(value: Any) -> str:
    """Sha-256 of the canonical JSON, in lower-case hex."""
    return hashlib.sha256(canonical_json(value)).hexdigest()
