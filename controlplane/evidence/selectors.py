"""Questions about metrics, stored results and published statistics."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import QuerySet

from controlplane.core.errors import NotFound
from controlplane.evidence.models import Analysis, ImportedSummary, Metric, MetricPointer
from controlplane.evidence.population import MetricSpec
from controlplane.stats.answers import Undefined
from controlplane.stats.comparison import Comparison
from controlplane.stats.means import compare_means
from controlplane.stats.moments import Moments
from controlplane.stats.sequential import DEFAULT_HORIZON


def metrics() -> QuerySet[Metric]:
    """All metrics that are not archived, by key."""
    return Metric.objects.filter(archived_at=None).prefetch_related("versions", "pointers__version")


def metric_by_key(key: str) -> Metric:
    """The metric; raises NotFound."""
    found = Metric.objects.filter(key=key).first()
    if found is None:
        raise NotFound(f"There is no metric {key!r}.", extra={"key": key})
    return found


def live_specs(keys: Sequence[str], *, environment: str) -> tuple[MetricSpec, ...]:
    """The definitions in use in the environment, in the order asked for; raises NotFound for one that is
    not.
    """
    pointers = {p.record.key: p for p in MetricPointer.live_in(environment).filter(record__key__in=keys)}
    for key in keys:
        if key not in pointers:
            raise NotFound(f"The metric {key!r} is not in use in {environment!r}.", extra={"key": key})
    return tuple(spec_of(pointers[key]) for key in keys)


def spec_of(pointer: MetricPointer) -> MetricSpec:
    """The definition a pointer names."""
    record = pointer.record
    return MetricSpec.from_json({**pointer.version.content, "key": record.key, "title": record.title})


def latest_analysis(subject: str, *, environment: str) -> Analysis | None:
    """The newest stored result on the subject, or None."""
    return analyses(subject, environment=environment).first()


def analyses(subject: str, *, environment: str) -> QuerySet[Analysis]:
    """Stored results on the subject, newest first."""
    return Analysis.objects.filter(subject=subject, environment=environment)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What published statistics said at one time: each arm against control."""

    metric: str
    checkpoint: float
    arm: str
    answer: Comparison | Undefined


def imported_comparisons(
    subject: str, *, control: str, alpha: float = 0.05, horizon: int = DEFAULT_HORIZON
) -> tuple[Checkpoint, ...]:
    """Every published metric and checkpoint of the subject, each arm against `control`, by metric and
    time.
    """
    cells: dict[tuple[str, float], dict[str, Moments]] = {}
    for row in ImportedSummary.objects.filter(subject=subject).order_by("metric", "checkpoint", "arm"):
        moments = Moments.from_variance(n=row.n, mean=row.mean, variance=row.variance)
        cells.setdefault((row.metric, row.checkpoint), {})[row.arm] = moments
    empty = Moments(0, 0.0, 0.0)
    return tuple(
        Checkpoint(
            metric=metric,
            checkpoint=at,
            arm=arm,
            answer=compare_means(arms.get(control, empty), moments, alpha=alpha, horizon=horizon),
        )
        for (metric, at), arms in cells.items()
        for arm, moments in arms.items()
        if arm != control
    )


def imported_subjects() -> list[str]:
    """Subjects with published statistics, sorted."""
    found = ImportedSummary.objects.order_by("subject").values_list("subject", flat=True).distinct()
    return list(found)


def missing_metrics(keys: Sequence[str]) -> tuple[str, ...]:
    """Those of the keys that are no metric, sorted."""
    wanted = set(keys)
    return tuple(sorted(wanted - set(Metric.objects.filter(key__in=wanted).values_list("key", flat=True))))


def metrics_not_in_use(keys: Sequence[str], *, environment: str) -> tuple[str, ...]:
    """Those of the keys that have no definition in the environment, sorted."""
    wanted = set(keys)
    live = MetricPointer.objects.filter(environment=environment, record__key__in=wanted)
    return tuple(sorted(wanted - set(live.values_list("record__key", flat=True))))


def latest_analyses(subjects: Sequence[str], *, environment: str) -> dict[str, Analysis]:
    """The newest stored result of each subject that has one, without its SQL."""
    rows = (
        Analysis.objects.filter(subject__in=subjects, environment=environment)
        .defer("sql", "request", "population")
        .order_by("subject", "-id")
        .distinct("subject")
    )
    return {row.subject: row for row in rows}


def has_imported_summaries(subject: str) -> bool:
    """Whether somebody published statistics of the subject that were imported."""
    return ImportedSummary.objects.filter(subject=subject).exists()
