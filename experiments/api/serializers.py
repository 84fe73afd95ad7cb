"""Shapes of experiments."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from controlplane.core.api.records import RecordRead, StrictSerializer


class ExperimentRead(RecordRead):
    """An experiment with its phases."""

    status = serializers.CharField()
    phase = serializers.IntegerField()
    imported = serializers.BooleanField()
    sizes_fixed = serializers.BooleanField()
    unit_note = serializers.CharField()
    phases = serializers.SerializerMethodField()

    def get_phases(self, experiment: Any) -> list[dict[str, Any]]:
        return [
            {
                "number": phase.number,
                "version": phase.version.number,
                "started_at": phase.started_at.isoformat(),
                "ended_at": phase.ended_at.isoformat() if phase.ended_at else None,
            }
            for phase in experiment.phases.all()
        ]


class Stop(StrictSerializer):
    environment = serializers.CharField(max_length=64)


class Ramp(StrictSerializer):
    """How much of the traffic to enrol, in 1/10,000."""

    environment = serializers.CharField(max_length=64)
    coverage = serializers.IntegerField(min_value=0, max_value=10_000)


class Analyse(StrictSerializer):
    """Where to analyse, and to which moment; now unless named."""

    environment = serializers.CharField(max_length=64, required=False, default="production")
    as_of = serializers.DateTimeField(required=False, allow_null=True, default=None)
