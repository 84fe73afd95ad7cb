"""Experiments: questions put to traffic, and their answers."""

from django.apps import AppConfig


class ExperimentsConfig(AppConfig):
    name = "experiments"
    verbose_name = "Experiments"

    def ready(self) -> None:
        from experiments import services  # noqa: F401, PLC0415  registers the operations once models are ready
