"""Questions to the event tables."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db.models import Count, Max, Min, QuerySet, Sum

from controlplane.events.models import (
    Batch,
    BufferedEvent,
    Erasure,
    IngestCount,
    LearnedContexts,
    QuarantinedRecord,
    RetentionRule,
)


def quarantined(
    *, environment: str = "", code: str = "", waiting: bool = False
) -> QuerySet[QuarantinedRecord]:
    """Records in quarantine, newest first; `waiting` leaves out those a re-drive has taken in."""
    records = QuarantinedRecord.objects.order_by("-received_at", "-id")
    if environment:
        records = records.filter(environment=environment)
    if code:
        records = records.filter(code=code)
    return records.filter(redriven_at__isnull=True) if waiting else records


@dataclass(frozen=True, slots=True)
class QuarantineGroup:
    """What one reason keeps out, with one record as a sample."""

    environment: str
    code: str
    field: str
    records: int
    times_seen: int
    first_seen_at: datetime
    last_seen_at: datetime
    sample: QuarantinedRecord


def quarantine_groups(*, environment: str = "") -> list[QuarantineGroup]:
    """Waiting records by reason, the most frequent first."""
    groups: list[Any] = list(
        quarantined(environment=environment, waiting=True)
        .order_by()
        .values("environment", "code", "field")
        .annotate(
            records=Count("id"),
            times_seen=Sum("times_seen"),
            first_seen_at=Min("received_at"),
            last_seen_at=Max("last_seen_at"),
            sample=Max("id"),
        )
        .order_by("-times_seen", "environment", "code", "field")
    )
    samples = QuarantinedRecord.objects.in_bulk([group["sample"] for group in groups])
    return [QuarantineGroup(**{**group, "sample": samples[group["sample"]]}) for group in groups]


def counts(*, environment: str, since: date) -> dict[str, dict[str, int]]:
    """Events per type and verdict since a UTC day: `moved`, `late`, `duplicate` and the codes of quarantine."""
    rows = (
        IngestCount.objects.filter(environment=environment, day__gte=since)
        .order_by()
        .values_list("type", "verdict")
        .annotate(total=Sum("count"))
        .order_by("type", "verdict")
    )
    result: dict[str, dict[str, int]] = {}
    for kind, verdict, total in rows:
        result.setdefault(kind, {})[verdict] = total
    return result


def daily_counts(*, environment: str = "", since: date | None = None) -> QuerySet[IngestCount]:
    """Counts per UTC day, type and verdict, newest day first."""
    found: QuerySet[IngestCount] = IngestCount.objects.order_by("-day", "environment", "type", "verdict")
    if environment:
        found = found.filter(environment=environment)
    return found if since is None else found.filter(day__gte=since)


def last_moved_at() -> datetime | None:
    """When the newest batch came to stand in the lake; None before the first."""
    moved: datetime | None = Batch.objects.aggregate(at=Max("moved_at"))["at"]
    return moved


def learned_until() -> dict[str, datetime]:
    """By environment, up to when the attribute dictionary has learned from logged decisions."""
    return dict(LearnedContexts.objects.values_list("environment", "received_until"))


def contexts_wait() -> bool:
    """Whether something was moved to the lake since the dictionary last learned."""
    moved = last_moved_at()
    learned = max(learned_until().values(), default=None)
    return moved is not None and (learned is None or moved > learned)


def waiting_events() -> int:
    """How many acknowledged events do not stand in the lake yet."""
    return BufferedEvent.objects.filter(payload__isnull=False).count()


def oldest_waiting_at() -> datetime | None:
    """When the event that waits longest for the lake was received; None when none waits."""
    first = BufferedEvent.objects.filter(payload__isnull=False).order_by("seq").first()
    return None if first is None else first.received_at


def lake_work_waits() -> bool:
    """Is there anything for the mover to do?"""
    return BufferedEvent.objects.filter(payload__isnull=False).exists() or open_batches().exists()


def open_batches() -> QuerySet[Batch]:
    """Batches claimed and not yet marked moved."""
    return Batch.objects.filter(moved_at__isnull=True).order_by("number")


def retention_rules() -> QuerySet[RetentionRule]:
    """The rules that stand, by type."""
    return RetentionRule.objects.order_by("type")


def retention_days() -> dict[str, int]:
    """Days per event type for which a rule stands."""
    return dict(RetentionRule.objects.order_by("type").values_list("type", "days"))


def pending_erasures() -> QuerySet[Erasure]:
    """Erasures asked for and not done, oldest first; failed ones too, for they are tried again."""
    return Erasure.objects.exclude(status=Erasure.Status.DONE).order_by("requested_at", "id")


def erasures(*, environments: Iterable[str] | None = None) -> QuerySet[Erasure]:
    """All erasures, newest first."""
    found: QuerySet[Erasure] = Erasure.objects.order_by("-requested_at", "-id")
    return found if environments is None else found.filter(environment__in=list(environments))


def sample_text(record: QuarantinedRecord, *, limit: int = 2_000) -> str:
    """A quarantined record as people can read it, cut to `limit` characters."""
    raw: Any = bytes(record.raw)
    text = raw.decode("utf-8", errors="replace").replace("\0", "\u2400")
    return text if len(text) <= limit else f"{text[:limit]}…"
