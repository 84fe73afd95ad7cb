"""What must follow from an operation, written in its transaction and carried out by a sweep."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class Reaction(models.Model):
    """One consequence waiting to be carried out, or done, or given up after too many attempts."""

    key = models.CharField(max_length=80)
    operation = models.CharField(max_length=80)
    subject = models.CharField(max_length=200)
    environment = models.CharField(max_length=64, blank=True, default="")
    payload = models.JSONField(default=dict)
    created_at = models.DateTimeField()
    due_at = models.DateTimeField()
    attempts = models.PositiveSmallIntegerField(default=0)
    done_at = models.DateTimeField(null=True)
    dead_at = models.DateTimeField(null=True)
    error = models.TextField(blank=True, default="")

    class Meta:
        ordering: ClassVar = ["id"]
        indexes: ClassVar = [
            models.Index(
                fields=["due_at", "id"],
                condition=models.Q(done_at__isnull=True, dead_at__isnull=True),
                name="core_reaction_due",
            )
        ]

    def __str__(self) -> str:
        return f"{self.key} after {self.operation}"
