"""REST views of overrides."""

from __future__ import annotations

from typing import ClassVar

from controlplane.core.api.records import PublishableViewSet, RecordRead
from overrides import services
from overrides.models import Override


class OverrideViewSet(PublishableViewSet):
    """Pins, boosts, buries, hides and required filters."""

    queryset = Override.objects.all()
    serializer_class = RecordRead
    model = Override
    create_record = staticmethod(services.create_override)
    save_record = staticmethod(services.save_override)
    publish_record = staticmethod(services.publish_override)
    withdraw_record = staticmethod(services.withdraw_override)
    view_permission: ClassVar[str] = "overrides.view"
