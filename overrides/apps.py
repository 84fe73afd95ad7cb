"""Overrides: what merchandisers want to stand where."""

from django.apps import AppConfig


class OverridesConfig(AppConfig):
    name = "overrides"
    verbose_name = "Merchandising"

    def ready(self) -> None:
        from overrides import services  # noqa: F401, PLC0415  registers the operations once models are ready
