"""A small world in which every route has something to act on. Factories build rows, operations make history."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from itertools import count

from controlplane.core import services as core
from controlplane.core.actors import Actor
from controlplane.core.models import ApiToken

ADMIN = Actor(kind="user", id="0", name="world", grants=frozenset({("admin", None)}))


@dataclass
class World:
    """Makes what a route needs, with keys never used before."""

    at: datetime
    serial: count[int] = field(default_factory=lambda: count(1))

    def key(self, kind: str) -> str:
        """A key of its own for the next thing of this kind."""
        return f"{kind}-{next(self.serial)}"

    def token(self) -> ApiToken:
        token, _ = core.create_token(
            key=self.key("token"),
            name="A program",
            scopes=["rest"],
            roles=["viewer"],
            actor=ADMIN,
            at=self.at,
        )
        return token
