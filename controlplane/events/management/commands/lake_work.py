"""Lake work in a process of its own: what the sweeps start, and what an operator may run by hand."""

from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from controlplane.core.actors import Actor
from controlplane.events import contexts, selectors, services, upkeep
from controlplane.events.addresses import direct_dsn
from controlplane.events.lake_lock import LakeBusy

BUSY = 75


class Command(BaseCommand):
    help = "Compact the lake, apply the retention rules, carry out pending erasures, or learn what requests hold."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("work", choices=["compact", "retain", "erase", "learn"])

    def handle(self, *args: Any, work: str, **options: Any) -> None:
        try:
            getattr(self, f"_{work}")()
        except LakeBusy as busy:
            self.stderr.write(str(busy))
            raise SystemExit(BUSY) from None

    def _compact(self) -> None:
        joined = upkeep.compact(lake_url=settings.LAKE_URL, dsn=direct_dsn())
        self.stdout.write(f"joined the files of {joined} days")

    def _retain(self) -> None:
        at = datetime.now(UTC)
        days = selectors.retention_days()
        dropped = upkeep.retain(lake_url=settings.LAKE_URL, dsn=direct_dsn(), days_per_type=days, at=at)
        if dropped:
            services.record_retention(dropped=dict(dropped), actor=Actor.system("beat"), at=at)
        self.stdout.write(f"dropped {sum(dropped.values())} events")

    def _learn(self) -> None:
        at = datetime.now(UTC)
        seen = contexts.recent(
            settings.LAKE_URL, after=selectors.learned_until(), since=at - services.LEARN_FROM_LAST
        )
        for environment, taken in seen.items():
            services.learn_contexts(
                environment=environment,
                contexts=taken.contexts,
                until=taken.until,
                actor=Actor.system("worker"),
                at=at,
            )
        self.stdout.write(f"learned from {sum(len(taken.contexts) for taken in seen.values())} requests")

    def _erase(self) -> None:
        for erasure in selectors.pending_erasures():
            try:
                counts = upkeep.erase(
                    lake_url=settings.LAKE_URL,
                    dsn=direct_dsn(),
                    environment=erasure.environment,
                    user_id=erasure.user_id,
                )
            except LakeBusy:
                raise
            except Exception as error:
                services.note_failed_erasure(erasure=erasure, error=type(error).__name__)
                raise
            services.complete_erasure(
                erasure=erasure, counts=dict(counts), actor=Actor.system("beat"), at=datetime.now(UTC)
            )
            self.stdout.write(f"erasure {erasure.pk} done: {dict(counts)}")
