"""Surfaces and audiences: records, so that what is served is a version somebody made and somebody put live."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from controlplane.core.records import Record, RecordPointer, RecordVersion


class Surface(Record):
    """A place where recommendations are shown, such as the home feed. Its content is described in `rules.py`."""

    def touched_surfaces(self) -> tuple[str, ...]:
        """A role limited to surfaces may change those and no other."""
        return (self.key,)


class SurfaceVersion(RecordVersion):
    record = models.ForeignKey(Surface, on_delete=models.PROTECT, related_name="versions")

    class Meta(RecordVersion.Meta):
        abstract = False


class SurfacePointer(RecordPointer):
    record = models.ForeignKey(Surface, on_delete=models.PROTECT, related_name="pointers")
    version = models.ForeignKey(SurfaceVersion, on_delete=models.PROTECT, related_name="+")

    class Meta(RecordPointer.Meta):
        abstract = False
        indexes: ClassVar = [models.Index(fields=["environment"], name="catalog_surface_live")]


class Audience(Record):
    """A named condition on requests: `{"condition": …}`."""


class AudienceVersion(RecordVersion):
    record = models.ForeignKey(Audience, on_delete=models.PROTECT, related_name="versions")

    class Meta(RecordVersion.Meta):
        abstract = False


class AudiencePointer(RecordPointer):
    record = models.ForeignKey(Audience, on_delete=models.PROTECT, related_name="pointers")
    version = models.ForeignKey(AudienceVersion, on_delete=models.PROTECT, related_name="+")

    class Meta(RecordPointer.Meta):
        abstract = False
        indexes: ClassVar = [models.Index(fields=["environment"], name="catalog_audience_live")]
