"""Guardrails as records, and kill switches as rows that are thrown and released."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models

from controlplane.core import surfaces
from controlplane.core.records import Record, RecordPointer, RecordVersion, valid_key


class Guardrail(Record):
    """A rule of the compliance team on which items may be recommended. Its content is described in `rules.py`."""

    def touched_surfaces(self) -> tuple[str, ...]:
        """The surfaces of its newest version and of those that are live; none means every surface."""
        return surfaces.of_record(self)


class GuardrailVersion(RecordVersion):
    record = models.ForeignKey(Guardrail, on_delete=models.PROTECT, related_name="versions")

    class Meta(RecordVersion.Meta):
        abstract = False


class GuardrailPointer(RecordPointer):
    record = models.ForeignKey(Guardrail, on_delete=models.PROTECT, related_name="pointers")
    version = models.ForeignKey(GuardrailVersion, on_delete=models.PROTECT, related_name="+")

    class Meta(RecordPointer.Meta):
        abstract = False
        indexes: ClassVar = [models.Index(fields=["environment"], name="guardrails_live")]


class KillSwitch(models.Model):
    """Something stopped at once in one environment: items, a rule, or a whole surface's ranking."""

    class Kind(models.TextChoices):
        BLOCK_ITEMS = "block_items", "Block items"
        DISABLE_RULE = "disable_rule", "Disable a rule or experiment"
        SAFE_MODE = "safe_mode", "Safe mode: serve the fallback list only"

    key = models.CharField(
        max_length=64,
        unique=True,
        validators=[valid_key],
        error_messages={"unique": "This key is taken; choose another."},
    )
    environment = models.CharField(max_length=64)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    items = ArrayField(models.CharField(max_length=128), default=list, blank=True)
    rule = models.CharField(max_length=160, blank=True, default="")
    surfaces = ArrayField(models.CharField(max_length=64), default=list, blank=True)
    reason = models.CharField(max_length=500)
    thrown_at = models.DateTimeField()
    thrown_by = models.CharField(max_length=160)
    released_at = models.DateTimeField(null=True, blank=True)
    released_by = models.CharField(max_length=160, blank=True, default="")
    row_version = models.PositiveIntegerField(default=1, editable=False)

    class Meta:
        ordering: ClassVar = ["-thrown_at"]
        verbose_name_plural = "kill switches"
        indexes: ClassVar = [
            models.Index(
                fields=["environment", "key"],
                condition=models.Q(released_at__isnull=True),
                name="guardrails_thrown",
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.key}"

    def touched_surfaces(self) -> tuple[str, ...]:
        return tuple(self.surfaces)

    def audit_snapshot(self) -> dict[str, Any]:
        return {
            "key": self.key,
            "environment": self.environment,
            "kind": self.kind,
            "items": list(self.items),
            "rule": self.rule,
            "surfaces": list(self.surfaces),
            "reason": self.reason,
            "released": self.released_at is not None,
        }
