"""Overrides as records: identity, versions, and per environment the version that is live."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from controlplane.core import surfaces
from controlplane.core.records import Record, RecordPointer, RecordVersion


class Override(Record):
    """A merchandiser's rule for one or more surfaces. Its content is described in `rules.py`."""

    def touched_surfaces(self) -> tuple[str, ...]:
        """The surfaces of its newest version and of those that are live; none means every surface."""
        return surfaces.of_record(self)


class OverrideVersion(RecordVersion):
    record = models.ForeignKey(Override, on_delete=models.PROTECT, related_name="versions")

    class Meta(RecordVersion.Meta):
        abstract = False


class OverridePointer(RecordPointer):
    record = models.ForeignKey(Override, on_delete=models.PROTECT, related_name="pointers")
    version = models.ForeignKey(OverrideVersion, on_delete=models.PROTECT, related_name="+")

    class Meta(RecordPointer.Meta):
        abstract = False
        indexes: ClassVar = [models.Index(fields=["environment"], name="overrides_live")]
