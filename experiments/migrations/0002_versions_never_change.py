"""A version, once made, stays as it is."""

from typing import ClassVar

from django.db import migrations

from controlplane.core.append_only import append_only


class Migration(migrations.Migration):
    dependencies: ClassVar = [("experiments", "0001_records_and_phases"), ("core", "0002_append_only_trails")]

    operations: ClassVar = [append_only("experiments_experimentversion")]
