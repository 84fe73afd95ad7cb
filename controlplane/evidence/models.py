"""What evidence keeps: the metric catalogue, results of analyses, and statistics that others published."""

from typing import ClassVar

from django.db import models

from controlplane.core.records import Record, RecordPointer, RecordVersion


class Metric(Record):
    """A number per unit that people agreed on. Its definition is the content of its versions."""

    class Meta(Record.Meta):
        abstract = False


class MetricVersion(RecordVersion):
    """One definition: {kind, event_type, name, aggregation, value_field, delay_hours, window_hours,
    direction, unit}.
    """

    record = models.ForeignKey(Metric, on_delete=models.PROTECT, related_name="versions")

    class Meta(RecordVersion.Meta):
        abstract = False


class MetricPointer(RecordPointer):
    """Which definition is used in an environment."""

    record = models.ForeignKey(Metric, on_delete=models.PROTECT, related_name="pointers")
    version = models.ForeignKey(MetricVersion, on_delete=models.PROTECT, related_name="+")

    class Meta(RecordPointer.Meta):
        abstract = False


class Analysis(models.Model):
    """A stored result: what was asked, of which data, by whom, how it was computed, and the answer.
    Append-only.
    """

    subject = models.CharField(max_length=200)
    environment = models.CharField(max_length=64)
    as_of = models.DateTimeField()
    """End of the window: outcomes at or after it do not count."""
    population = models.JSONField()
    request = models.JSONField()
    """The whole request: population, metric definitions as they were, plan."""
    method = models.CharField(max_length=200)
    version = models.PositiveIntegerField()
    seed = models.BigIntegerField(null=True)
    """None: nothing in the method is random."""
    alpha = models.FloatField()
    inputs_digest = models.CharField(max_length=64)
    sql = models.TextField()
    result = models.JSONField()
    lake_version = models.BigIntegerField(null=True)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=160)
    row_version = models.PositiveIntegerField(default=1, editable=False)

    class Meta:
        verbose_name_plural = "analyses"
        ordering: ClassVar = ["-id"]
        indexes: ClassVar = [
            models.Index(fields=["subject", "environment", "-id"], name="evidence_analysis_latest")
        ]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(alpha__gt=0, alpha__lt=1), name="evidence_analysis_alpha_between_0_and_1"
            )
        ]

    def __str__(self) -> str:
        return f"{self.subject} as of {self.as_of:%Y-%m-%d %H:%M}"

    def audit_snapshot(self) -> dict[str, object]:
        """What the audit event on the subject holds; the result itself is found by the row's number."""
        return {
            "analysis": self.pk,
            "environment": self.environment,
            "as_of": self.as_of.isoformat(),
            "inputs_digest": self.inputs_digest,
            "lake_version": self.lake_version,
            "method": self.method,
            "version": self.version,
        }


class ImportedSummary(models.Model):
    """Published statistics of one arm, metric and checkpoint of an experiment that ran elsewhere."""

    subject = models.CharField(max_length=200)
    metric = models.CharField(max_length=64)
    arm = models.CharField(max_length=64)
    checkpoint = models.FloatField()
    """Time since the start in the publisher's unit."""
    n = models.PositiveBigIntegerField()
    mean = models.FloatField()
    variance = models.FloatField()
    """Sample variance, divisor n − 1."""
    source = models.CharField(max_length=64)
    imported_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "imported summaries"
        ordering: ClassVar = ["subject", "metric", "checkpoint", "arm"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["subject", "metric", "arm", "checkpoint"],
                name="evidence_importedsummary_once",
                violation_error_message="This arm, metric and checkpoint of the experiment is imported already.",
            ),
            models.CheckConstraint(
                condition=models.Q(variance__gte=0), name="evidence_importedsummary_variance_not_negative"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.subject} {self.metric} {self.arm} at {self.checkpoint}"
