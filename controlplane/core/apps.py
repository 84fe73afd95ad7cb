"""Core: the words every part of the product shares."""

from django.apps import AppConfig


class CoreConfig(AppConfig):
    name = "controlplane.core"
    label = "core"
    verbose_name = "Core"

    def ready(self) -> None:
        from controlplane.core import checks  # noqa: F401, PLC0415  registers the system check
