"""Move waiting events to the lake now, and wait until they stand there."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from controlplane.events import mover
from controlplane.events.addresses import direct_dsn
from controlplane.events.lake_lock import LakeBusy


class Command(BaseCommand):
    help = "Move every event that waits in the buffer to the lake."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            report = mover.move(lake_url=settings.LAKE_URL, dsn=direct_dsn())
        except LakeBusy as busy:
            raise CommandError(str(busy)) from None
        self.stdout.write(f"moved {report.rows} events in {report.batches} batches")
