"""Versions of the document and of the law, canonical JSON and its digest."""

import json
from collections.abc import Mapping
from hashlib import sha256

SCHEMA_VERSION = 1
LAW_VERSION = 1
KINDS = ("pin", "boost", "bury", "hide", "require")
ACTIONS = ("block", "demote", "age_gate", "region_block", "label", "slate_cap")
SWITCHES = ("block_items", "disable_rule", "safe_mode")
MISSING = ("skip", "fail_open", "fail_closed")
COMPARISONS = (">=", ">", "<=", "<", "==", "!=")
SURFACE_PREFIX = "surface:"


def canonical_json(value: object) -> bytes:
    """The one way a JSON value is written before it is digested or signed. ValueError on NaN and infinity.

    >>> canonical_json({"b": 1, "a": "é"}).decode()
    '{"a":"é","b":1}'
    """
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode("utf-8", "surrogatepass")


def digest(value: object) -> str:
    """SHA-256 of the canonical JSON, in hexadecimal."""
    return sha256(canonical_json(value)).hexdigest()


def manifest_digest(manifest: Mapping[str, object]) -> str:
    """Digest of a manifest without its signature: the bytes that are signed, and the name of a revision's content."""
    return digest({key: value for key, value in manifest.items() if key not in ("key_id", "signature")})
