"""Stored results and published statistics are never changed afterwards."""

from typing import ClassVar

from django.db import migrations

from controlplane.core.append_only import append_only


class Migration(migrations.Migration):
    dependencies: ClassVar = [
        ("evidence", "0001_metrics_and_analyses"),
        ("core", "0002_append_only_trails"),
    ]

    operations: ClassVar = [append_only("evidence_analysis"), append_only("evidence_importedsummary")]
