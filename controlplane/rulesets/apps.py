"""Rulesets: link, check, publish, hold, serve."""

from django.apps import AppConfig


class RulesetsConfig(AppConfig):
    name = "controlplane.rulesets"
    label = "rulesets"
    verbose_name = "Serving"

    def ready(self) -> None:
        from controlplane.rulesets import services  # noqa: F401, PLC0415  registers the operations
