"""How often one caller may ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle

from controlplane.core.actors import Actor

if TYPE_CHECKING:  # REST framework's views import this module while they are being made
    from rest_framework.views import APIView


class ActorThrottle(SimpleRateThrottle):
    """Per token or person; by address for callers not known."""

    scope = "actor"

    def get_cache_key(self, request: Request, view: APIView) -> str:
        actor = Actor.behind(request.user)
        who = actor.subject if actor else self.get_ident(request)
        return self.cache_format % {"scope": self.scope, "ident": who}
