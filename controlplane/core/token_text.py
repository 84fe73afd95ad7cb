"""How a token's text looks and how its secret is kept. Without models, so that processes without Django's apps can read one."""

from __future__ import annotations

import hashlib
import re
import secrets

_FORM = re.compile(r"^cp_([A-Za-z0-9]{8})_([A-Za-z0-9_-]{43})$")


def mint() -> tuple[str, str, str]:
    """A new token: the whole text shown once, its public prefix, and the hash to keep."""
    prefix = secrets.token_hex(4)
    secret = secrets.token_urlsafe(32)
    return f"cp_{prefix}_{secret}", prefix, hash_secret(secret)


def hash_secret(secret: str) -> str:
    """SHA-256 suffices: the secret is 256 random bits, so there is nothing to guess and polls stay cheap."""
    return hashlib.sha256(secret.encode()).hexdigest()


def split(text: str) -> tuple[str, str] | None:
    """Prefix and secret of a token's text, or None when it is not one."""
    match = _FORM.match(text)
    return (match[1], match[2]) if match else None
