"""Questions about experiments."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from controlplane.catalog import selectors as catalog
from controlplane.evidence import selectors as evidence
from experiments.models import Experiment, ExperimentPointer, Phase


def listed() -> QuerySet[Experiment]:
    """Every experiment by key, with its versions and pointers at hand."""
    return Experiment.objects.prefetch_related("versions", "pointers__version").order_by("key")


def running_in(environment: str) -> QuerySet[ExperimentPointer]:
    """Pointers of the experiments that run in the environment, by key, with version, record and its phases."""
    return ExperimentPointer.live_in(environment).prefetch_related("record__phases")


def newest_phase(experiment: Experiment) -> Phase | None:
    """Its newest phase, running or ended, with the version it runs; None for a draft."""
    return experiment.phases.select_related("version").order_by("-number").first()


def content_in(experiment: Experiment, environment: str) -> dict[str, Any]:
    """What is live in the environment, else what the newest version says."""
    live = experiment.live(environment)
    version = live if live is not None else experiment.newest()
    return dict(version.content)


def enrolled_units(experiment: Experiment, environment: str) -> int | None:
    """Units the newest stored result of its present phase counted; None while there is no such result."""
    latest = evidence.latest_analysis(experiment.subject, environment=environment)
    if latest is None or latest.population.get("phase") != experiment.phase:
        return None
    return int(latest.result.get("units", 0)) + int(latest.result.get("multiple_exposure", 0))


def surface_choices() -> list[tuple[str, str]]:
    """Key and title of every surface, for a choice."""
    return [(row.key, row.title) for row in catalog.surfaces()]


def audience_choices() -> list[tuple[str, str]]:
    """Key and title of every audience, for a choice."""
    return [(row.key, row.title) for row in catalog.audiences()]


def metric_choices() -> list[tuple[str, str]]:
    """Key and title of every metric, for a choice."""
    return [(row.key, row.title) for row in evidence.metrics()]
