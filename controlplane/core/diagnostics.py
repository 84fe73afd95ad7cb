"""Diagnoses of the control plane itself, and the sweep that runs every diagnosis the settings name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final, Protocol

import structlog
from django.conf import settings
from django.utils.module_loading import import_string

from controlplane.core import open_findings
from controlplane.core.findings import Finding, Severity
from controlplane.core.models import AuditEvent, Reaction

log = structlog.get_logger(__name__)
UNSEALED_TOO_LONG: Final = timedelta(minutes=5)


class Diagnosis(Protocol):
    """Everything of one kind that is wrong at the moment."""

    def __call__(self, *, at: datetime) -> Iterable[Finding]: ...


def run(*, at: datetime) -> dict[str, int]:
    """Run every diagnosis and keep its findings open for as long as they hold; says how many stand, per diagnosis."""
    standing: dict[str, int] = {}
    for path in settings.DIAGNOSTICS:
        diagnosis: Diagnosis = import_string(path)
        try:
            found = list(diagnosis(at=at))
        except Exception:  # one that fails must not hide what the others find
            log.exception("diagnosis_failed", diagnosis=path)
            continue
        standing[path] = open_findings.replace(path[-80:], found, at=at)
    return standing


def reactions_given_up(*, at: datetime) -> Iterator[Finding]:
    """Consequences of operations that failed so often that nobody tries any more."""
    for reaction in Reaction.objects.filter(dead_at__isnull=False).order_by("id")[:100]:
        yield Finding(
            code="reaction_given_up",
            severity=Severity.ERROR,
            subject=f"core.reaction:{reaction.pk}",
            message=f"{reaction.key} after {reaction.operation} on {reaction.subject} failed {reaction.attempts} times.",
            evidence={"error": reaction.error[-2_000:], "since": reaction.created_at.isoformat()},
        )


def trail_not_sealed(*, at: datetime) -> Iterator[Finding]:
    """Audit events that wait for their seal longer than a few minutes: worker or beat is not at work."""
    oldest = AuditEvent.objects.filter(sealed__isnull=True).order_by("at").first()
    if oldest is not None and at - oldest.at > UNSEALED_TOO_LONG:
        yield Finding(
            code="trail_not_sealed",
            severity=Severity.WARNING,
            subject="core.audit",
            message=f"The audit trail has not been sealed since {oldest.at:%Y-%m-%d %H:%M} UTC; are worker and beat running?",
            evidence={"oldest": oldest.at.isoformat()},
        )
