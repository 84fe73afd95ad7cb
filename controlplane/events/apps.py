"""Events: what happened, taken in durably, judged, moved to the lake, kept as long as allowed, erased on request."""

from django.apps import AppConfig


class EventsConfig(AppConfig):
    name = "controlplane.events"
    label = "events"
    verbose_name = "Events"

    def ready(self) -> None:
        from controlplane.events import services  # noqa: F401, PLC0415  models are ready only now; registers the operations
