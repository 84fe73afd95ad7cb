"""What PostgreSQL keeps of events: ids and payloads on their way, batches, quarantine, counts, retention, erasures."""

from typing import Any, ClassVar

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models.functions import Now

from controlplane.events.schemas import TYPES


class NextSequence(models.Func):
    """The next number of the buffer's sequence, drawn by the database."""

    template = "nextval('events_buffer_seq')"
    arity = 0
    output_field = models.BigIntegerField()


class BufferedEvent(models.Model):
    """An event id seen within the window of de-duplication; with its payload until that stands in the lake."""

    pk = models.CompositePrimaryKey("environment", "event_id")
    environment = models.CharField(max_length=64, db_collation="C")
    event_id = models.CharField(max_length=64, db_collation="C")
    seq = models.BigIntegerField(db_default=NextSequence())
    type = models.CharField(max_length=16)
    source = models.CharField(max_length=16)
    received_at = models.DateTimeField()
    payload = models.TextField(null=True)

    class Meta:
        db_table = "events_buffer"
        indexes: ClassVar = [
            models.Index(
                fields=["seq"], name="events_buffer_waiting", condition=models.Q(payload__isnull=False)
            )
        ]

    def __str__(self) -> str:
        return f"{self.environment}/{self.event_id}"


class Batch(models.Model):
    """Rows claimed together for the lake. `members` is an int8multirange of their `seq`, emptied when moved."""

    number = models.BigIntegerField(primary_key=True)
    members = models.TextField()
    rows = models.PositiveIntegerField()
    claimed_at = models.DateTimeField(db_default=Now())
    moved_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "events_batch"
        ordering: ClassVar = ["-number"]
        indexes: ClassVar = [
            models.Index(
                fields=["number"], name="events_batch_open", condition=models.Q(moved_at__isnull=True)
            )
        ]

    def __str__(self) -> str:
        return f"batch {self.number}"


class QuarantinedRecord(models.Model):
    """A record that is no event, with the reason. The same bytes again raise `times_seen` instead of adding a row."""

    environment = models.CharField(max_length=64)
    digest = models.CharField(max_length=64)
    code = models.CharField(max_length=40)
    field = models.CharField(max_length=200, blank=True)
    reason = models.TextField()
    remedy = models.TextField(blank=True)
    event_id = models.CharField(max_length=64, blank=True)
    event_type = models.CharField(max_length=16, blank=True)
    source = models.CharField(max_length=16)
    raw = models.BinaryField()
    received_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    times_seen = models.PositiveIntegerField(default=1)
    redriven_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=40, blank=True)
    """What came of the last re-drive: `accepted`, `duplicate` or the code it was refused with again."""

    class Meta:
        db_table = "events_quarantine"
        ordering: ClassVar = ["-received_at", "-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["environment", "digest"], name="events_quarantine_once")
        ]
        indexes: ClassVar = [models.Index(fields=["environment", "code"], name="events_quarantine_code")]

    def __str__(self) -> str:
        return f"{self.code} {self.field}".strip()


class IngestCount(models.Model):
    """How many events of a type met a fate on a UTC day: `moved`, `duplicate`, `late`, or a quarantine code."""

    environment = models.CharField(max_length=64)
    day = models.DateField()
    type = models.CharField(max_length=16, blank=True)
    verdict = models.CharField(max_length=40)
    count = models.BigIntegerField()

    class Meta:
        db_table = "events_count"
        ordering: ClassVar = ["-day", "environment", "type", "verdict"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["environment", "day", "type", "verdict"], name="events_count_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.type} {self.verdict}: {self.count}"


class RetentionRule(models.Model):
    """How many days after it was received an event of this type stays in the lake. No rule: for ever."""

    type = models.CharField(
        max_length=16,
        unique=True,
        choices=[(name, name) for name in TYPES],
        error_messages={"unique": "This type has a rule; change that one."},
    )
    days = models.PositiveIntegerField(validators=[MinValueValidator(1)])
    row_version = models.PositiveIntegerField(default=1, editable=False)

    class Meta:
        db_table = "events_retention"
        ordering: ClassVar = ["type"]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(days__gte=1),
                name="events_retention_days",
                violation_error_message="Events stay at least one day.",
            )
        ]

    def __str__(self) -> str:
        return f"{self.type}: {self.days} days"

    def audit_snapshot(self) -> dict[str, Any]:
        return {"type": self.type, "days": self.days}


class LearnedContexts(models.Model):
    """Up to when the attribute dictionary has learned from an environment's logged decisions."""

    environment = models.CharField(max_length=64, unique=True)
    received_until = models.DateTimeField()

    class Meta:
        db_table = "events_learned"

    def __str__(self) -> str:
        return f"{self.environment} until {self.received_until}"


class Erasure(models.Model):
    """One person's request to be erased. The id itself is kept only until that is done; its salted hash stays."""

    class Status(models.TextChoices):
        PENDING = "pending", "Pending"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"

    environment = models.CharField(max_length=64)
    subject_hash = models.CharField(max_length=64)
    salt = models.CharField(max_length=32)
    user_id = models.CharField(max_length=128, blank=True)
    reason = models.CharField(max_length=500)
    status = models.CharField(max_length=8, choices=Status.choices, default=Status.PENDING)
    requested_by = models.CharField(max_length=160)
    requested_at = models.DateTimeField()
    completed_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    last_error = models.TextField(blank=True)
    counts = models.JSONField(default=dict)
    row_version = models.PositiveIntegerField(default=1, editable=False)

    class Meta:
        db_table = "events_erasure"
        ordering: ClassVar = ["-requested_at", "-id"]

    def __str__(self) -> str:
        return f"erasure {self.pk} ({self.status})"

    def audit_snapshot(self) -> dict[str, Any]:
        """Without the id: the trail is never erased, so it must not name the person."""
        return {
            "environment": self.environment,
            "subject_hash": self.subject_hash,
            "reason": self.reason,
            "status": self.status,
            "counts": self.counts,
            "attempts": self.attempts,
        }
