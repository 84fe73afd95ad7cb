"""The attribute dictionary: the words conditions may use, learned from items and requests, edited by people."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models

VALUES_KEPT = 50


class Attribute(models.Model):
    """One attribute of requests or items. `name` is a dotted path, as conditions write it: `device.os`."""

    class Subject(models.TextChoices):
        REQUEST = "request", "Request"
        ITEM = "item", "Item"

    class Type(models.TextChoices):
        STRING = "string", "Text"
        NUMBER = "number", "Number"
        BOOLEAN = "boolean", "Yes or no"
        DATETIME = "datetime", "Date and time"
        LIST = "list", "List"
        OBJECT = "object", "Object"

    class Source(models.TextChoices):
        LEARNED = "learned", "Learned"
        EDITED = "edited", "Edited by a person"

    name = models.CharField(max_length=160)
    subject_kind = models.CharField(max_length=8, choices=Subject.choices)
    type = models.CharField(max_length=8, choices=Type.choices)
    description = models.CharField(max_length=500, blank=True, default="")
    private = models.BooleanField(default=False)
    """Values are neither kept here nor logged in clear."""
    values_seen = models.JSONField(default=list)
    seen_count = models.PositiveBigIntegerField(default=0)
    first_seen_at = models.DateTimeField(null=True, blank=True)
    last_seen_at = models.DateTimeField(null=True, blank=True)
    source = models.CharField(max_length=8, choices=Source.choices, default=Source.LEARNED)
    row_version = models.PositiveIntegerField(default=1, editable=False)

    class Meta:
        ordering: ClassVar = ["subject_kind", "name"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["subject_kind", "name"],
                name="catalog_attribute_once",
                violation_error_message="There is an attribute of that name already.",
            ),
            models.CheckConstraint(
                condition=models.Q(private=False) | models.Q(values_seen=[]),
                name="catalog_attribute_private_keeps_no_values",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.subject_kind} {self.name}"

    @property
    def key(self) -> str:
        """`item.brand`: the name by which REST and audit events speak of the attribute."""
        return f"{self.subject_kind}.{self.name}"

    def audit_snapshot(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "subject": self.subject_kind,
            "type": self.type,
            "description": self.description,
            "private": self.private,
            "source": self.source,
        }
