"""Shapes of quarantine, erasures, counts and retention."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from controlplane.core.api.records import StrictSerializer
from controlplane.events.models import Erasure, IngestCount, QuarantinedRecord, RetentionRule
from controlplane.events.schemas import MAX_UNIT_ID
from controlplane.events.selectors import sample_text


class QuarantinedRead(serializers.ModelSerializer[QuarantinedRecord]):
    """One record in quarantine, with why it is there and what would make it an event."""

    text = serializers.SerializerMethodField(
        help_text="The record as it came, at most 2,000 characters of it."
    )

    class Meta:
        model = QuarantinedRecord
        fields = [
            "id", "environment", "code", "field", "reason", "remedy", "event_id", "event_type", "source",
            "received_at", "last_seen_at", "times_seen", "redriven_at", "outcome", "text",
        ]  # fmt: skip

    def get_text(self, record: QuarantinedRecord) -> str:
        return sample_text(record)


class QuarantineGroupRead(serializers.Serializer[Any]):
    """What one reason keeps out. `records` are different records, `times_seen` counts repetitions too."""

    environment = serializers.CharField()
    code = serializers.CharField()
    field = serializers.CharField()
    records = serializers.IntegerField()
    times_seen = serializers.IntegerField()
    first_seen_at = serializers.DateTimeField()
    last_seen_at = serializers.DateTimeField()
    sample = QuarantinedRead()


class RedriveRequest(StrictSerializer):
    environment = serializers.CharField(max_length=64)
    code = serializers.CharField(max_length=40, required=False, default="", allow_blank=True)
    accept_late = serializers.BooleanField(required=False, default=False)


class LineProblem(serializers.Serializer[Any]):
    line = serializers.IntegerField()
    field = serializers.CharField()
    message = serializers.CharField()
    remedy = serializers.CharField()


class RedriveReport(serializers.Serializer[Any]):
    """What became of the records: `accepted`, `duplicate`, `refused`; the first hundred that were refused again."""

    counts = serializers.DictField(child=serializers.IntegerField())
    input_digest = serializers.CharField()
    error_count = serializers.IntegerField()
    errors = LineProblem(many=True)  # type: ignore[assignment]  # the name every batch report has


class ErasureRead(serializers.ModelSerializer[Erasure]):
    """One erasure. The person is named by a salted hash only: sha-256 of `salt:id`."""

    class Meta:
        model = Erasure
        fields = [
            "id", "environment", "subject_hash", "salt", "reason", "status", "requested_by", "requested_at",
            "completed_at", "attempts", "last_error", "counts", "row_version",
        ]  # fmt: skip


class ErasureCreate(StrictSerializer):
    environment = serializers.CharField(max_length=64)
    unit = serializers.ChoiceField(
        choices=[("user", "user")], required=False, default="user", help_text="Which of `unit_ids` the id is."
    )
    id = serializers.CharField(max_length=MAX_UNIT_ID, trim_whitespace=False)
    reason = serializers.CharField(max_length=500)


class IngestCountRead(serializers.ModelSerializer[IngestCount]):
    class Meta:
        model = IngestCount
        fields = ["environment", "day", "type", "verdict", "count"]


class RetentionRead(serializers.ModelSerializer[RetentionRule]):
    class Meta:
        model = RetentionRule
        fields = ["type", "days", "row_version"]


class RetentionSet(StrictSerializer):
    days = serializers.IntegerField()
