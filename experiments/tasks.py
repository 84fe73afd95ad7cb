"""Sweeps over experiments: end those whose planned end has passed, and keep the results of running ones fresh."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import structlog
from celery import shared_task

from controlplane.core.actors import Actor
from controlplane.core.errors import DomainError
from controlplane.evidence import selectors as evidence
from experiments import services
from experiments.lifecycle import Status
from experiments.models import Experiment, ExperimentPointer

log = structlog.get_logger(__name__)
FRESH_FOR = timedelta(minutes=15)


@shared_task(name="experiments.sweep")
def sweep() -> dict[str, int]:
    """Stop what is due and refresh what is stale; says how many of each."""
    now = datetime.now(UTC)
    return {"stopped": stop_due(at=now), "analysed": refresh(at=now)}


def stop_due(*, at: datetime) -> int:
    """Stop every experiment whose planned end has passed, where it runs."""
    stopped = 0
    for pointer in ExperimentPointer.objects.select_related("record", "version"):
        planned_end = pointer.record.newest().content["planned_end"]
        if planned_end is None or datetime.fromisoformat(planned_end) > at:
            continue
        try:
            services.stop_experiment(
                pointer.record, environment=pointer.environment, actor=Actor.system("beat"), at=at
            )
            stopped += 1
        except DomainError:  # somebody stopped it meanwhile
            log.info("already_stopped", experiment=pointer.record.key)
    return stopped


def refresh(*, at: datetime) -> int:
    """Analyse each running experiment whose newest result is older than a quarter of an hour."""
    analysed = 0
    running = ExperimentPointer.objects.filter(record__status=Status.RUNNING).select_related("record")
    for pointer in running:
        experiment: Experiment = pointer.record
        latest = evidence.latest_analysis(experiment.subject, environment=pointer.environment)
        newest_phase = services.running_phase(experiment).started_at
        if (latest is not None and at - latest.created_at < FRESH_FOR) or at - newest_phase < FRESH_FOR:
            continue
        try:
            services.analyse_experiment(
                experiment, environment=pointer.environment, actor=Actor.system("worker"), at=at
            )
            analysed += 1
        except Exception:  # one experiment's trouble must not keep the others from their results
            log.exception("analysis_failed", experiment=experiment.key)
    return analysed
