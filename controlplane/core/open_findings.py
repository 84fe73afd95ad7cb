"""Keeps what each source of findings says at present in line with the table people look at."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db import transaction

from controlplane.core.findings import Finding
from controlplane.core.models import OpenFinding


def replace(source: str, findings: Iterable[Finding], *, at: datetime, environment: str = "") -> int:
    """Make the source's open findings be exactly these: new ones open, repeated ones are confirmed, the rest resolve.

    Says how many stand open. Told twice at once, a finding is one row. Findings without an environment belong to the one given.
    """
    with transaction.atomic():
        open_rows = {
            (row.code, row.subject): row
            for row in OpenFinding.objects.select_for_update().filter(
                source=source, environment=environment, resolved_at__isnull=True
            )
        }
        told = {(found.code, found.subject): found for found in findings}
        for found in told.values():
            row = open_rows.pop((found.code, found.subject), None)
            if row is None:
                row = OpenFinding(
                    source=source,
                    code=found.code,
                    subject=found.subject,
                    environment=environment,
                    first_seen_at=at,
                )
            row.severity, row.message, row.evidence = (
                found.severity.value,
                found.message,
                dict(found.evidence),
            )
            row.last_seen_at = at
            row.save()
        OpenFinding.objects.filter(pk__in=[row.pk for row in open_rows.values()]).update(resolved_at=at)
    return len(told)
