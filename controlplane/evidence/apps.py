"""Evidence: metrics, populations, unit tables, and the comparison of any two groups of units."""

from django.apps import AppConfig


class EvidenceConfig(AppConfig):
    name = "controlplane.evidence"
    label = "evidence"
    verbose_name = "Evidence"

    def ready(self) -> None:
        """Register the app's operations."""
        from controlplane.evidence import services  # noqa: F401, PLC0415  models are ready only now
