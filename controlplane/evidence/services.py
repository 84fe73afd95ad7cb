"""Operations on evidence: define metrics, run and store analyses, import published statistics."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings

from controlplane.core.actors import Actor
from controlplane.core.canonical import digest
from controlplane.core.errors import FieldError, InvalidInput
from controlplane.core.operations import BatchReport, operation
from controlplane.core.record_operations import check_environment, check_identity
from controlplane.core.registry import register
from controlplane.evidence.models import Analysis, ImportedSummary, Metric
from controlplane.evidence.plan import AnalysisRequest
from controlplane.evidence.population import InvalidSpec, MetricSpec
from controlplane.evidence.processes import analyse_in_child


@register("evidence.create_metric", title="Define a metric")
def create_metric(
    *,
    key: str,
    title: str,
    owner: str,
    content: Mapping[str, Any],
    environment: str,
    actor: Actor,
    at: datetime,
    note: str = "",
) -> Metric:
    """A new metric, in use in the environment at once. Raises InvalidInput, Conflict when the key is
    taken.
    """
    spec = checked_metric(content, key=key, title=title)
    with operation.create(
        "evidence.create_metric", by=actor, model=Metric, at=at, environment=environment
    ) as created:
        check_environment(environment)
        check_identity(key=key, title=title, owner=owner, note=note)
        metric = Metric.objects.create(key=key, title=title, owner=owner, created_at=at)
        version = metric.add_version(spec.content(), by=actor.name, at=at, note=note)
        metric.point(environment, version, at=at)
        created(metric)
    return metric


@register("evidence.save_metric", title="Change a metric's definition")
def save_metric(
    *,
    metric: Metric,
    content: Mapping[str, Any],
    environment: str,
    actor: Actor,
    at: datetime,
    title: str | None = None,
    owner: str | None = None,
    note: str = "",
    expects: int | None = None,
) -> Metric:
    """A new definition, in use in the environment from now on; stored results keep the one they were made
    with.
    """
    spec = checked_metric(content, key=metric.key, title=title or metric.title)
    with operation(
        "evidence.save_metric", metric, by=actor, at=at, expects=expects, environment=environment
    ) as metric:
        check_environment(environment)
        metric.title, metric.owner = title or metric.title, owner or metric.owner
        check_identity(key=metric.key, title=metric.title, owner=metric.owner, note=note)
        metric.save(update_fields=["title", "owner"])
        version = metric.add_version(spec.content(), by=actor.name, at=at, note=note)
        metric.point(environment, version, at=at)
    return metric


def checked_metric(content: Mapping[str, Any], *, key: str, title: str) -> MetricSpec:
    """The definition, or InvalidInput naming the field and the remedy."""
    stated = {field: value for field, value in content.items() if field not in {"key", "title"}}
    try:
        return MetricSpec.from_json({**stated, "key": key, "title": title})
    except InvalidSpec as error:
        field = error.field if error.field in {"key", "title"} else f"content.{error.field}"
        raise InvalidInput.on(field, error.message, error.remedy) from error


@register("evidence.run_analysis", title="Run an analysis")
def run_analysis(*, request: AnalysisRequest, actor: Actor, at: datetime) -> Analysis:
    """Analyse the lake as it is now, in a child process, and store the result.

    The analysis runs before the operation begins, so that no transaction stays open meanwhile; for an actor
    who may not, it does not run at all. Raises Forbidden, InvalidInput, AnalysisFailed.
    """
    environment = request.population.environment
    permitted = actor.may("evidence.run_analysis", environment=environment)
    result = analyse_in_child(request, lake_url=settings.LAKE_URL) if permitted else {}
    with operation.create(
        "evidence.run_analysis", by=actor, model=Analysis, at=at, environment=environment
    ) as created:
        sql = result.pop("sql")
        analysis = Analysis.objects.create(
            subject=request.subject,
            environment=environment,
            as_of=request.population.until,
            population=request.population.to_json(),
            request=request.to_json(),
            method=result["method"],
            version=result["version"],
            seed=result["seed"],
            alpha=request.plan.alpha,
            inputs_digest=result["inputs_digest"],
            sql=sql,
            result=result,
            lake_version=result["lake_version"],
            created_at=at,
            created_by=actor.name,
        )
        created(analysis)
    return analysis


@dataclass(frozen=True, slots=True)
class SummaryRow:
    """One published line: statistics of an arm at a checkpoint."""

    metric: str
    arm: str
    checkpoint: float
    n: int
    mean: float
    variance: float


@register("evidence.import_summaries", title="Import published statistics")
def import_summaries(
    *, subject: str, source: str, rows: Iterable[SummaryRow], actor: Actor, at: datetime
) -> BatchReport:
    """Take in published statistics of one experiment; a line taken in before is counted as unchanged or
    refused.
    """
    given = list(rows)
    with operation.batch("evidence.import_summaries", by=actor, subject=subject, at=at) as report:
        lines = [f"{r.metric}\t{r.arm}\t{r.checkpoint}\t{r.n}\t{r.mean}\t{r.variance}" for r in given]
        report.input_digest = digest(lines)
        known = {
            (s.metric, s.arm, s.checkpoint): (s.n, s.mean, s.variance)
            for s in ImportedSummary.objects.filter(subject=subject)
        }
        fresh = []
        for line, row in enumerate(given):
            cell, values = (row.metric, row.arm, row.checkpoint), (row.n, row.mean, row.variance)
            if problem := _problem(row):
                report.error(line, problem)
            elif cell not in known:
                known[cell] = values
                fresh.append(_summary(row, subject=subject, source=source, at=at))
            elif known[cell] == values:
                report.count("unchanged")
            else:
                remedy = "Remove the line or import the corrected set under another subject."
                report.error(
                    line, FieldError("checkpoint", "is imported already with other numbers.", remedy)
                )
        ImportedSummary.objects.bulk_create(fresh, batch_size=2000)
        report.count("created", len(fresh))
    return report


def _problem(row: SummaryRow) -> FieldError | None:
    if row.n < 0:
        return FieldError("n", "is negative.", "Give the number of units.")
    for field in ("checkpoint", "mean", "variance"):
        if not math.isfinite(getattr(row, field)):
            return FieldError(field, "is not a finite number.", "Leave the line out if the value is unknown.")
    if row.variance < 0:
        return FieldError("variance", "is negative.", "Give the sample variance.")
    for field in ("metric", "arm"):
        if not 0 < len(getattr(row, field)) <= 64:
            return FieldError(field, "is empty or longer than 64 characters.", "Shorten it.")
    return None


def _summary(row: SummaryRow, *, subject: str, source: str, at: datetime) -> ImportedSummary:
    return ImportedSummary(
        subject=subject,
        metric=row.metric,
        arm=row.arm,
        checkpoint=row.checkpoint,
        n=row.n,
        mean=row.mean,
        variance=row.variance,
        source=source,
        imported_at=at,
    )
