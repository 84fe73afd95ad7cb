"""Consequences of operations as rows: written with the operation, carried out by a sweep, given up loudly."""

from __future__ import annotations

import traceback
from datetime import datetime, timedelta
from typing import Any, Protocol

import structlog
from django.conf import settings
from django.db import transaction
from django.utils.module_loading import import_string

from controlplane.core.models import Reaction
from controlplane.core.registry import RegisteredOperation

log = structlog.get_logger(__name__)
ATTEMPTS = 10


class Handler(Protocol):
    """Carries out one reaction; must be idempotent, since a crash after it and before the note repeats it."""

    def __call__(self, reaction: Reaction, *, at: datetime) -> None: ...


def enqueue(*, operation: RegisteredOperation, subject: str, environment: str, at: datetime) -> None:
    """Write the reactions that follow from the operation, in its transaction."""
    keys = ["rulesets.publish"] if operation.publishes and "rulesets.publish" in settings.REACTIONS else []
    keys += [key for key in settings.REACTIONS if key == f"after:{operation.name}"]
    Reaction.objects.bulk_create(
        Reaction(
            key=key,
            operation=operation.name,
            subject=subject,
            environment=environment,
            created_at=at,
            due_at=at,
            payload={},
        )
        for key in keys
    )


def deliver(*, at: datetime, limit: int = 200) -> dict[str, int]:
    """Carry out what is due, each in a transaction of its own; says how many were done, failed and given up.

    Rows another deliverer holds are skipped. Reactions with the same key and environment that are due together are
    carried out once: their handlers act on the present state, not on the row.
    """
    outcome = {"done": 0, "failed": 0, "dead": 0}
    for _ in range(limit):
        with transaction.atomic():
            due = Reaction.objects.filter(done_at__isnull=True, dead_at__isnull=True, due_at__lte=at)
            first = due.select_for_update(skip_locked=True).order_by("due_at", "id").first()
            if first is None:
                return outcome
            alike = list(
                due.filter(key=first.key, environment=first.environment)
                .select_for_update(skip_locked=True)
                .order_by("id")
            )
            result = _run(first, at=at)
            for reaction in alike:
                _note(reaction, error=result, at=at)
            outcome["done" if result is None else "dead" if alike[0].dead_at else "failed"] += len(alike)
    return outcome


def _run(reaction: Reaction, *, at: datetime) -> str | None:
    try:
        handler: Handler = import_string(settings.REACTIONS[reaction.key])
        with transaction.atomic():
            handler(reaction, at=at)
    except Exception:
        log.exception("reaction_failed", key=reaction.key, reaction=reaction.pk)
        return traceback.format_exc(limit=6)
    return None


def _note(reaction: Reaction, *, error: str | None, at: datetime) -> None:
    changed: dict[str, Any] = {"attempts": reaction.attempts + 1}
    if error is None:
        changed |= {"done_at": at, "error": ""}
    else:
        changed |= {"error": error, "due_at": at + timedelta(seconds=min(300, 2**reaction.attempts))}
        if reaction.attempts + 1 >= ATTEMPTS:
            changed["dead_at"] = at
    for name, value in changed.items():
        setattr(reaction, name, value)
    reaction.save(update_fields=list(changed))
