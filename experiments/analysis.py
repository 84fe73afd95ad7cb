"""What an analysis of an experiment asks of the evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from controlplane.evidence.plan import AnalysisRequest, Plan
from controlplane.evidence.population import MetricSpec, PopulationSpec
from experiments.models import Experiment, Phase


def request(
    experiment: Experiment,
    phase: Phase,
    *,
    content: Mapping[str, Any],
    metrics: Sequence[MetricSpec],
    environment: str,
    until: datetime,
) -> AnalysisRequest:
    """The request for one phase: its own arms and window, the metrics as they are defined now.

    A fixed-horizon reading is right only at the planned end, or for an experiment that was published whole.
    """
    population = PopulationSpec(
        environment=environment,
        experiment=experiment.key,
        phase=phase.number,
        unit=content["hash_attribute"],
        since=None if experiment.imported else phase.started_at,
        until=until,
        exposure_types=tuple(content["exposure_types"]),
        stratum=content["stratify_by"],
    )
    plan = Plan(
        control=content["arms"][0]["key"],
        weights=None if experiment.sizes_fixed else {arm["key"]: arm["weight"] for arm in content["arms"]},
        primary=content["primary_metric"],
        guardrails=tuple(content["guardrail_metrics"]),
        horizon=content["planned_units"],
        at_planned_end=experiment.imported or _reached(content["planned_end"], until),
    )
    return AnalysisRequest(
        subject=experiment.subject, population=population, metrics=tuple(metrics), plan=plan
    )


def _reached(planned_end: str | None, until: datetime) -> bool:
    return planned_end is not None and until >= datetime.fromisoformat(planned_end)
