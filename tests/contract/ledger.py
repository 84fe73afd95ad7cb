"""What the database holds, so that a test can say "nothing changed" and "exactly this changed" about all of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from django.apps import apps
from django.db import connection

from controlplane.core.models import AuditEvent, SecurityEvent

OURS = ("controlplane", "experiments", "overrides", "governance")
# Written by being asked, not by what is asked.
NOTED_BY_CALLING = {"core_apitoken": ("last_used_at",)}


def tables() -> list[str]:
    """Tables of this product's models, many-to-many ones included."""
    return sorted(
        {
            model._meta.db_table
            for config in apps.get_app_configs()
            if config.name.startswith(OURS)
            for model in config.get_models(include_auto_created=True)
        }
    )


def digests() -> dict[str, str]:
    """Table -> digest of all its rows. The security log is left out: a refusal writes there."""
    found = {}
    with connection.cursor() as cursor:
        for table in tables():
            if table == SecurityEvent._meta.db_table:
                continue
            without = "".join(f" - '{column}'" for column in NOTED_BY_CALLING.get(table, ()))
            row = f"(to_jsonb(t){without})::text"
            cursor.execute(f"SELECT md5(coalesce(string_agg({row}, '|' ORDER BY {row}), '')) FROM {table} t")
            found[table] = cursor.fetchone()[0]
    return found


@dataclass
class Changes:
    """What happened between entering and leaving `watch`."""

    tables: list[str] = field(default_factory=list)
    audit: list[AuditEvent] = field(default_factory=list)
    security: list[SecurityEvent] = field(default_factory=list)


@contextmanager
def watch() -> Iterator[Changes]:
    """Compare the whole database before and after; the result is complete when the block ends."""
    changes = Changes()
    before = digests()
    audit = set(AuditEvent.objects.values_list("pk", flat=True))
    security = set(SecurityEvent.objects.values_list("pk", flat=True))
    yield changes
    after = digests()
    changes.tables = [table for table, digest in after.items() if before[table] != digest]
    changes.audit = list(AuditEvent.objects.exclude(pk__in=audit))
    changes.security = list(SecurityEvent.objects.exclude(pk__in=security))
