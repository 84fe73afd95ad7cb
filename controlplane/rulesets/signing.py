"""The manifest of a revision: what it names, and the signature that vouches for it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from controlplane.core.canonical import canonical_json, digest
from controlplane.core.keys import key_id, signing_key
from controlplane.engine.schema import LAW_VERSION, SCHEMA_VERSION

UNSIGNED = ("key_id", "signature")


def instant(at: datetime) -> str:
    """The instant as the document writes it: UTC with a Z."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def manifest(
    *, environment: str, number: int, previous: int, at: datetime, sections: Mapping[str, str], key: Path
) -> dict[str, Any]:
    """A signed manifest. `sections` maps section names to digests; `key` is the PEM file of the Ed25519 key."""
    unsigned: dict[str, Any] = {
        "schema": SCHEMA_VERSION,
        "law": LAW_VERSION,
        "environment": environment,
        "revision": number,
        "previous": previous,
        "issued_at": instant(at),
        "sections": dict(sorted(sections.items())),
    }
    private = signing_key(key)
    signature = base64.b64encode(private.sign(canonical_json(unsigned))).decode()
    return {**unsigned, "key_id": key_id(private.public_key()), "signature": signature}


def content(signed: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest without its signature: what is signed, and what a revision's digest is of."""
    return {name: value for name, value in signed.items() if name not in UNSIGNED}


def manifest_digest(signed: Mapping[str, Any]) -> str:
    """Name of a revision's content."""
    return digest(content(signed))


def is_genuine(signed: Mapping[str, Any], key: Ed25519PublicKey) -> bool:
    """Whether the key signed exactly this manifest."""
    try:
        key.verify(base64.b64decode(signed["signature"]), canonical_json(content(signed)))
    except (InvalidSignature, KeyError, ValueError):
        return False
    return signed.get("key_id") == key_id(key)
