"""The trails take rows and never give one up."""

from typing import ClassVar

from django.db import migrations

from controlplane.core.append_only import REFUSE_CHANGE, append_only


class Migration(migrations.Migration):
    dependencies: ClassVar = [("core", "0001_trail_people_and_tokens")]

    operations: ClassVar = [
        REFUSE_CHANGE,
        append_only("core_auditevent"),
        append_only("core_auditseal"),
        append_only("core_sealedevent"),
        append_only("core_securityevent"),
    ]
