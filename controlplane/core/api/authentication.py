"""Who is calling: a token in the Authorization header, or a person's session. Either way `request.user` is an Actor."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from rest_framework import authentication, exceptions
from rest_framework.request import Request

from controlplane.core import security, tokens
from controlplane.core.actors import Actor
from controlplane.core.models import ApiToken
from controlplane.core.requests import request_id


def actor_of(request: Request) -> Actor:
    """The calling actor. Raises NotAuthenticated when there is none."""
    actor = Actor.behind(request.user)
    if actor is None:
        raise exceptions.NotAuthenticated
    return actor


class TokenAuthentication(authentication.BaseAuthentication):
    """`Authorization: Bearer cp_<prefix>_<secret>`. Why a token is refused is told to the security log only."""

    def authenticate(self, request: Request) -> tuple[Actor, ApiToken] | None:
        scheme, _, text = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        now = datetime.now(UTC)
        token = tokens.recognise(text.strip(), at=now)
        if token is None or token.kind == ApiToken.Kind.CLIENT:
            parts = tokens.split(text.strip())
            security.record(
                "token_refused",
                at=now,
                name=parts[0] if parts else "",
                address=request.META.get("REMOTE_ADDR", ""),
            )
            raise exceptions.AuthenticationFailed("The token is not valid.")
        return Actor.of_token(token).with_request(request_id(request._request)), token

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="control plane"'


class SessionAuthentication(authentication.SessionAuthentication):
    """A signed-in person; unsafe methods need the CSRF token."""

    def authenticate(self, request: Request) -> tuple[Any, None] | None:
        found = super().authenticate(request)
        if found is None:
            return None
        return Actor.of_user(found[0]).with_request(request_id(request._request)), None
