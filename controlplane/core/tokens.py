"""API tokens: how one is recognised. Their text is in `token_text.py`, operations on them in `services.py`."""

from __future__ import annotations

import hmac
from datetime import datetime, timedelta

from controlplane.core.models import ApiToken
from controlplane.core.token_text import hash_secret, mint, split

__all__ = ["LAST_USED_RESOLUTION", "hash_secret", "mint", "recognise", "split", "usable"]

LAST_USED_RESOLUTION = timedelta(minutes=1)


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
