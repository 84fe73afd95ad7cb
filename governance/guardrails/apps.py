"""Guardrails: what may not be shown, to whom, and the switches that stop things at once."""

from django.apps import AppConfig


class GuardrailsConfig(AppConfig):
    name = "governance.guardrails"
    label = "guardrails"
    verbose_name = "Guardrails"

    def ready(self) -> None:
        from governance.guardrails import services  # noqa: F401, PLC0415  registers the operations once models are ready
