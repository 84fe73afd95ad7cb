"""Where rulesets are served: production, staging, and as many more as a team wants."""

from __future__ import annotations

from typing import Any, ClassVar

from django.core.validators import RegexValidator
from django.db import models

from controlplane.core.records import valid_key

COLOUR_PATTERN = r"^#[0-9a-f]{6}$"
valid_colour = RegexValidator(COLOUR_PATTERN, "Write the colour as # and six lower-case hex digits.")


class Environment(models.Model):
    """One place with rulesets of its own. Its colour and its kind keep people from mistaking it for another."""

    class Kind(models.TextChoices):
        PRODUCTION = "production", "Production"
        STAGING = "staging", "Staging"

    key = models.CharField(
        max_length=64,
        unique=True,
        validators=[valid_key],
        error_messages={"unique": "This key is taken; choose another."},
    )
    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=16, choices=Kind.choices, default=Kind.STAGING)
    colour = models.CharField(max_length=7, default="#4b5563", validators=[valid_colour])
    protected = models.BooleanField(default=False)
    """Changes here may be made subject to approval, whatever the kind."""
    created_at = models.DateTimeField(editable=False)
    row_version = models.PositiveIntegerField(default=1, editable=False)

    class Meta:
        ordering: ClassVar = ["key"]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(kind__in=["production", "staging"]),
                name="catalog_environment_kind",
                violation_error_message="An environment is production or staging.",
            ),
            models.CheckConstraint(
                condition=models.Q(colour__regex=COLOUR_PATTERN),
                name="catalog_environment_colour",
                violation_error_message="Write the colour as # and six lower-case hex digits.",
            ),
        ]

    def __str__(self) -> str:
        return self.name or self.key

    def audit_snapshot(self) -> dict[str, Any]:
        return {
            "key": self.key,
            "name": self.name,
            "kind": self.kind,
            "colour": self.colour,
            "protected": self.protected,
        }
