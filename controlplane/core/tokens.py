"""API tokens: how a secret looks, how it is kept, and how it is recognised. Operations on tokens are in `services.py`."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from datetime import datetime, timedelta

from controlplane.core.models import ApiToken

_FORM = re.compile(r"^cp_([A-Za-z0-9]{8})_([A-Za-z0-9_-]{43})$")
LAST_USED_RESOLUTION = timedelta(minutes=1)


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


def usable(token: ApiToken, secret: str, *, at: datetime) -> bool:
    """Whether the secret opens the token now: right secret (the rotated one for its grace time), not revoked or expired."""
    given = hash_secret(secret)
    right = hmac.compare_digest(given, token.secret_hash)
    if not right and token.previous_hash and token.previous_until and at < token.previous_until:
        right = hmac.compare_digest(given, token.previous_hash)
    alive = token.revoked_at is None and (token.expires_at is None or at < token.expires_at)
    return right and alive


def recognise(text: str, *, at: datetime) -> ApiToken | None:
    """The token whose text this is, if it may still be used; notes its use once a minute."""
    parts = split(text)
    token = ApiToken.objects.filter(prefix=parts[0]).first() if parts else None
    if token is None or parts is None or not usable(token, parts[1], at=at):
        return None
    if token.last_used_at is None or at - token.last_used_at > LAST_USED_RESOLUTION:
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=at)
    return token
