"""The app's place in the installation."""

from django.apps import AppConfig


class EvidenceConfig(AppConfig):
    name = "controlplane.evidence"
    label = "evidence"
    verbose_name = "Evidence"
