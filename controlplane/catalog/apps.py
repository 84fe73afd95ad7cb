"""Catalogue: environments, surfaces, items, audiences, and the dictionary of attributes that conditions may read."""

from django.apps import AppConfig


class CatalogConfig(AppConfig):
    name = "controlplane.catalog"
    label = "catalog"
    verbose_name = "Catalogue"

    def ready(self) -> None:
        from controlplane.catalog import services  # noqa: F401, PLC0415  models are ready only now; registers the operations
