from django.apps import AppConfig


class EmbeddedConfig(AppConfig):
    """PostgreSQL and Valkey from wheels, and the commands that run, save and restore an installation."""

    name = "controlplane.embedded"
    label = "embedded"
    verbose_name = "Embedded services"
