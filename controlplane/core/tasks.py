"""Core's sweeps. Each looks for due work in PostgreSQL; being called twice or late changes nothing but the delay."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from celery import shared_task
from django.contrib.sessions.models import Session

from controlplane.core import diagnostics, reactions, sealing
from controlplane.core.models import Reaction


@shared_task(name="core.deliver_reactions")
def deliver_reactions() -> dict[str, int]:
    """Carry out the reactions that are due."""
    return reactions.deliver(at=datetime.now(UTC))


@shared_task(name="core.seal_audit")
def seal_audit() -> int:
    """Seal the audit events that are settled; says how many."""
    return sealing.seal(at=datetime.now(UTC))


@shared_task(name="core.diagnose")
def diagnose() -> dict[str, int]:
    """Run every diagnosis; says how many findings stand."""
    return diagnostics.run(at=datetime.now(UTC))


@shared_task(name="core.prune")
def prune() -> dict[str, int]:
    """Remove what nobody needs any more: expired sessions and reactions done a month ago."""
    now = datetime.now(UTC)
    sessions, _ = Session.objects.filter(expire_date__lt=now).delete()
    done, _ = Reaction.objects.filter(done_at__lt=now - timedelta(days=30)).delete()
    return {"sessions": sessions, "reactions": done}
