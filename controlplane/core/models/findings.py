"""Findings that stand open, one row per code and subject, kept after they are resolved."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from controlplane.core.findings import Severity


class OpenFinding(models.Model):
    """A finding as people meet it: since when, last confirmed when, and when it went away."""

    source = models.CharField(max_length=80)
    code = models.CharField(max_length=80)
    severity = models.CharField(
        max_length=8, choices=[(severity.value, severity.value.capitalize()) for severity in Severity]
    )
    subject = models.CharField(max_length=200)
    environment = models.CharField(max_length=64, blank=True, default="")
    message = models.TextField()
    evidence = models.JSONField(default=dict)
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True)

    class Meta:
        ordering: ClassVar = ["resolved_at", "-last_seen_at"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["source", "code", "subject", "environment"],
                condition=models.Q(resolved_at__isnull=True),
                name="core_openfinding_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.code}: {self.subject}"
