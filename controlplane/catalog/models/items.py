"""Items: what is recommended. One catalogue per installation; environments share it."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models


class Item(models.Model):
    """One recommendable thing, as its owner last stated it. Written in bulk only; see `services/items.py`."""

    item_id = models.CharField(max_length=128, unique=True)
    title = models.CharField(max_length=300, blank=True, default="")
    image_url = models.CharField(max_length=2_000, blank=True, default="")
    attributes = models.JSONField(default=dict)
    signals = models.JSONField(default=dict)
    """Numbers that guardrails judge, such as `toxicity`."""
    provider = models.CharField(max_length=128, blank=True, default="")
    available = models.BooleanField(default=True)
    regions = ArrayField(models.CharField(max_length=16), null=True, blank=True)
    """Regions the item is licensed for; null is everywhere."""
    first_seen_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    deleted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["item_id"]
        constraints: ClassVar = [
            models.CheckConstraint(condition=~models.Q(item_id=""), name="catalog_item_id_not_empty"),
            models.CheckConstraint(
                condition=models.Q(image_url="") | models.Q(image_url__startswith="https://"),
                name="catalog_item_image_https",
                violation_error_message="Images are shown over https only.",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["provider", "item_id"], name="catalog_item_provider"),
        ]

    def __str__(self) -> str:
        return self.title or self.item_id
