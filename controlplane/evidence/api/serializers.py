"""Shapes of metrics and analyses."""

from __future__ import annotations

from rest_framework import serializers

from controlplane.core.api.records import RecordCreate, RecordSave
from controlplane.evidence.models import Analysis

DEFAULT_ENVIRONMENT = "production"


class MetricCreate(RecordCreate):
    """A metric, and where it is in use at once."""

    environment = serializers.CharField(max_length=64, required=False, default=DEFAULT_ENVIRONMENT)


class MetricSave(RecordSave):
    """Whatever is to change, and where the changed definition is in use from now on."""

    environment = serializers.CharField(max_length=64, required=False, default=DEFAULT_ENVIRONMENT)


class AnalysisListed(serializers.ModelSerializer[Analysis]):
    """A stored result without its numbers, for lists."""

    class Meta:
        model = Analysis
        fields = [
            "id", "subject", "environment", "as_of", "method", "version", "seed", "alpha", "inputs_digest",
            "lake_version", "created_at", "created_by",
        ]  # fmt: skip


class AnalysisRead(AnalysisListed):
    """A stored result: its numbers as JSON, and the SQL that made them."""

    class Meta(AnalysisListed.Meta):
        fields = [*AnalysisListed.Meta.fields, "population", "request", "sql", "result"]
