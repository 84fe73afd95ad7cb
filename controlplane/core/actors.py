"""Who does something: a person, a token or a named part of the system. Always an argument, never ambient."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from controlplane.core import permissions

if TYPE_CHECKING:
    from controlplane.core.models import ApiToken, User

Kind = Literal["user", "token", "system"]
REST_SCOPE = "rest"
"""The scope that lets a token use its roles; the others open one serving address each."""


@dataclass(frozen=True, slots=True)
class Actor:
    """One acting party with what it may do. `surfaces` and `environment` of None mean all of them."""

    kind: Kind
    id: str
    name: str
    grants: frozenset[tuple[str, str | None]] = frozenset()
    """Pairs of role and surface key; None is every surface."""
    scopes: frozenset[str] | None = None
    """A token's scopes; None for people and the system, whom roles alone limit."""
    environment: str | None = None
    request_id: str = ""

    @property
    def roles(self) -> frozenset[str]:
        return frozenset(role for role, _ in self.grants)

    @property
    def is_authenticated(self) -> bool:
        """Always: whoever is not known is no actor."""
        return True

    @property
    def subject(self) -> str:
        return f"{self.kind}:{self.id}"

    def may(self, permission: str, *, surfaces: Iterable[str] = (), environment: str | None = None) -> bool:
        """Whether some role allows `permission` on every one of `surfaces` (none named: everywhere) in the environment."""
        if environment and self.environment and environment != self.environment:
            return False
        if self.scopes is not None and REST_SCOPE not in self.scopes:
            return False
        if self.kind == "system":
            return permissions.system_actor_may(self.id, permission)
        wanted: list[str | None] = list(surfaces) or [None]
        allowed = {surface for role, surface in self.grants if permissions.allows(role, permission)}
        return None in allowed or (
            bool(allowed) and None not in wanted and all(surface in allowed for surface in wanted)
        )

    def with_request(self, request_id: str) -> Actor:
        return replace(self, request_id=request_id)

    @classmethod
    def behind(cls, user: object) -> Actor | None:
        """The actor an authentication class put in place of `request.user`, if one did."""
        return user if isinstance(user, Actor) else None

    @classmethod
    def system(cls, name: str) -> Actor:
        """A named part of the system, such as `beat` or `bootstrap`; its rights stand in the role table."""
        return cls(kind="system", id=name, name=name)

    @classmethod
    def of_user(cls, user: User) -> Actor:
        grants = frozenset((grant.role, grant.surface or None) for grant in user.role_grants.all())
        if user.is_superuser:
            grants |= {("admin", None)}
        return cls(kind="user", id=str(user.pk), name=user.get_username(), grants=grants)

    @classmethod
    def of_token(cls, token: ApiToken) -> Actor:
        surfaces: list[str | None] = [*token.surfaces] or [None]
        grants = frozenset((role, surface) for role in token.roles for surface in surfaces)
        return cls(
            kind="token",
            id=token.prefix,
            name=token.name,
            grants=grants,
            scopes=frozenset(token.scopes),
            environment=token.environment or None,
        )
