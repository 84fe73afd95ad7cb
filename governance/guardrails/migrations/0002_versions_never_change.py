"""A version, once made, stays as it is."""

from typing import ClassVar

from django.db import migrations

from controlplane.core.append_only import append_only


class Migration(migrations.Migration):
    dependencies: ClassVar = [("guardrails", "0001_records"), ("core", "0002_append_only_trails")]

    operations: ClassVar = [append_only("guardrails_guardrailversion")]
