"""Experiments as records, and the phases in which they ran."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models

from controlplane.core import surfaces
from controlplane.core.records import Record, RecordPointer, RecordVersion
from experiments.lifecycle import Status


class Experiment(Record):
    """A comparison of arms on randomised units. Its content is described in `rules.py`."""

    status = models.CharField(
        max_length=8,
        choices=[(status.value, status.value.capitalize()) for status in Status],
        default=Status.DRAFT,
    )
    phase = models.PositiveIntegerField(default=0)
    imported = models.BooleanField(default=False, editable=False)
    """Observed elsewhere: its exposures were logged by somebody, not decided here."""
    sizes_fixed = models.BooleanField(default=False, editable=False)
    """The publisher chose how many units of each arm to publish, so that a sample ratio says nothing."""
    unit_note = models.CharField(max_length=300, blank=True, default="", editable=False)
    """What readers must know about the unit of an imported experiment."""

    def touched_surfaces(self) -> tuple[str, ...]:
        """The surfaces of its newest version and of those that are live; none means every surface."""
        return surfaces.of_record(self)

    def audit_snapshot(self) -> dict[str, Any]:
        phases = [phase.audit_snapshot() for phase in self.phases.order_by("number")]
        return {**super().audit_snapshot(), "phases": phases}


class ExperimentVersion(RecordVersion):
    record = models.ForeignKey(Experiment, on_delete=models.PROTECT, related_name="versions")

    class Meta(RecordVersion.Meta):
        abstract = False


class ExperimentPointer(RecordPointer):
    record = models.ForeignKey(Experiment, on_delete=models.PROTECT, related_name="pointers")
    version = models.ForeignKey(ExperimentVersion, on_delete=models.PROTECT, related_name="+")

    class Meta(RecordPointer.Meta):
        abstract = False
        indexes: ClassVar = [models.Index(fields=["environment"], name="experiments_live")]


class Phase(models.Model):
    """One randomisation: from its first start to its stop, arms and weights stay as `version` has them."""

    experiment = models.ForeignKey(Experiment, on_delete=models.PROTECT, related_name="phases")
    number = models.PositiveIntegerField()
    version = models.ForeignKey(ExperimentVersion, on_delete=models.PROTECT, related_name="+")
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering: ClassVar = ["-number"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["experiment", "number"], name="experiments_phase_once"),
            models.CheckConstraint(
                condition=models.Q(ended_at__isnull=True) | models.Q(ended_at__gte=models.F("started_at")),
                name="experiments_phase_ends_after_start",
            ),
        ]

    def __str__(self) -> str:
        return f"phase {self.number}"

    def audit_snapshot(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "version": self.version.number,
            "started_at": self.started_at.isoformat(),
            "ended_at": self.ended_at.isoformat() if self.ended_at else None,
        }
