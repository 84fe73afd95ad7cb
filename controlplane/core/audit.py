"""The audit trail: appending to it, sealing it, and proving that nothing in it was altered, removed or slipped in."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django.conf import settings

from controlplane.core.actors import Actor
from controlplane.core.canonical import as_stored, digest
from controlplane.core.models import AuditEvent


def personal_hash(value: str) -> str:
    """Salted hash of a personal value: the same person hashes alike, and nobody can hash a list of names to compare."""
    return hmac.new(settings.SECRET_KEY.encode() + b"audit", value.encode(), hashlib.sha256).hexdigest()


def append(
    *,
    operation: str,
    subject: str,
    actor: Actor,
    at: datetime,
    environment: str = "",
    difference: Mapping[str, Any],
    row_version: int | None,
    approved_by: str = "",
) -> AuditEvent:
    """Write one event into the running transaction."""
    event = AuditEvent(
        at=at.astimezone(UTC),  # as it is read back
        operation=operation,
        subject=subject,
        actor_kind=actor.kind,
        actor_id=actor.id,
        actor_hash=personal_hash(f"{actor.kind}:{actor.name}"),
        environment=environment,
        row_version=row_version,
        difference=as_stored(difference),
        request_id=actor.request_id,
        approved_by=approved_by,
    )
    event.digest = event_digest(event)
    event.save(force_insert=True)
    return event


def event_digest(event: AuditEvent) -> str:
    """What a seal vouches for: everything that was said, with the actor's name only as its hash."""
    return digest(
        {
            "at": event.at.isoformat(),
            "operation": event.operation,
            "subject": event.subject,
            "actor": [event.actor_kind, event.actor_id, event.actor_hash],
            "environment": event.environment,
            "row_version": event.row_version,
            "difference": event.difference,
            "request_id": event.request_id,
            "approved_by": event.approved_by,
        }
    )
