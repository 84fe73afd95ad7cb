"""The security log: what was refused, and who came in or failed to. Written apart from the refused transaction."""

from __future__ import annotations

from datetime import datetime

from controlplane.core.actors import Actor
from controlplane.core.models import SecurityEvent


def record(
    kind: str,
    *,
    at: datetime,
    actor: Actor | None = None,
    operation: str = "",
    subject: str = "",
    code: str = "",
    detail: str = "",
    address: str = "",
    name: str = "",
) -> SecurityEvent:
    """Append one line. `name` stands for an actor who could not be identified, such as a wrong user name."""
    return SecurityEvent.objects.create(
        kind=kind,
        at=at,
        operation=operation[:80],
        subject=subject[:200],
        actor_kind=actor.kind if actor else "",
        actor_id=(actor.id if actor else name)[:160],
        address=address[:64],
        code=code[:40],
        detail=detail[:500],
        request_id=actor.request_id if actor else "",
    )
