"""From events to a result: unit table, summaries, comparisons, sample ratio, verdict."""

from dataclasses import dataclass, replace

import ibis
from ibis import _

from controlplane.evidence.daily import DayFigure, daily_figures
from controlplane.evidence.plan import AnalysisRequest
from controlplane.evidence.population import MetricSpec
from controlplane.evidence.summaries import Summaries, read_summaries, summary_query
from controlplane.evidence.unit_table import exposures, unit_table
from controlplane.stats.answers import Undefined
from controlplane.stats.comparison import Comparison
from controlplane.stats.means import compare_means
from controlplane.stats.moments import Counts, Moments
from controlplane.stats.proportions import compare_proportions
from controlplane.stats.sample_ratio import SampleRatio, srm
from controlplane.stats.strata import Stratum, compare_stratified
from controlplane.stats.verdict import MetricReading, Verdict, decide_verdict

METHOD = "intention to treat from first exposure; fixed-horizon and always-valid intervals of the difference"
VERSION = 1


@dataclass(frozen=True, slots=True)
class ArmSize:
    """An arm's units, and its planned share of all units (None when nobody planned one)."""

    arm: str
    units: int
    planned_share: float | None


@dataclass(frozen=True, slots=True)
class ArmComparison:
    """One arm against control, and inside each stratum where the population has strata."""

    arm: str
    answer: Comparison | Undefined
    by_stratum: tuple[tuple[str, Comparison | Undefined], ...] = ()


@dataclass(frozen=True, slots=True)
class MetricResult:
    """A metric: each arm's statistics, and each other arm against control."""

    metric: MetricSpec
    arms: tuple[tuple[str, Counts | Moments], ...]
    comparisons: tuple[ArmComparison, ...]


@dataclass(frozen=True, slots=True)
class SeriesPoint:
    """For charts: an arm against control over everything up to the end of a day; the answer holds an
    always-valid band.
    """

    day: str
    metric: str
    arm: str
    answer: Comparison | Undefined


@dataclass(frozen=True, slots=True)
class AnalysisResult:
    """Everything a results page says. `exposures_without_unit` could not be counted: they name no unit of
    this kind.
    """

    request: AnalysisRequest
    lake_version: int | None
    arms: tuple[ArmSize, ...]
    multiple_exposure: int
    exposures_without_unit: int
    sample_ratio: SampleRatio | Undefined
    metrics: tuple[MetricResult, ...]
    verdicts: tuple[tuple[str, Verdict], ...]
    series: tuple[SeriesPoint, ...]
    sql: str


def analyse(
    events: ibis.Table, request: AnalysisRequest, *, lake_version: int | None = None
) -> AnalysisResult:
    """Answer the request from `events`, a table with the lake's columns. Same events, same request: same
    result.
    """
    units = unit_table(events, request.population, request.metrics)
    query = summary_query(units, request.metrics)
    summaries = read_summaries(query.to_pyarrow().to_pylist(), request.metrics)
    nameless = exposures(events, request.population).filter(_.unit.isnull()).count().to_pyarrow().as_py()
    sizes = _sizes(summaries, request)
    ratio = _sample_ratio(sizes, request)
    metrics = tuple(_metric_result(metric, summaries, sizes, request) for metric in request.metrics)
    return AnalysisResult(
        request=request,
        lake_version=lake_version,
        arms=sizes,
        multiple_exposure=summaries.multiple_exposure,
        exposures_without_unit=int(nameless),
        sample_ratio=ratio,
        metrics=metrics,
        verdicts=_verdicts(summaries, sizes, request, metrics=metrics, ratio=ratio),
        series=_series(events, summaries, sizes, request) if request.series else (),
        sql=str(ibis.to_sql(query, dialect=events.get_backend().name)),
    )


def compare(
    control: Counts | Moments, treatment: Counts | Moments, *, alpha: float, horizon: int
) -> Comparison | Undefined:
    """Compare two arms by what their statistics are; "no events" where neither arm has any."""
    if isinstance(control, Counts) and isinstance(treatment, Counts):
        if control.n and treatment.n and control.successes == treatment.successes == 0:
            return Undefined("no_events", "No unit of either arm has an event of this metric.")
        return compare_proportions(control, treatment, alpha=alpha, horizon=horizon)
    if isinstance(control, Moments) and isinstance(treatment, Moments):
        if (
            control.n
            and treatment.n
            and control == replace(treatment, n=control.n) == Moments(control.n, 0.0, 0.0)
        ):
            return Undefined("no_events", "No unit of either arm has an event of this metric.")
        return compare_means(control, treatment, alpha=alpha, horizon=horizon)
    raise TypeError("one arm has counts and the other moments.")


def _sizes(summaries: Summaries, request: AnalysisRequest) -> tuple[ArmSize, ...]:
    """Control first, then planned arms in their order, then arms nobody planned."""
    weights = request.plan.weights
    planned = [] if weights is None else list(weights)
    names = list(dict.fromkeys([request.plan.control, *planned, *summaries.names()]))
    total = sum(weights.values()) if weights else 0.0
    shares = {arm: weight / total for arm, weight in weights.items()} if weights and total else {}
    return tuple(
        ArmSize(arm, summaries.units(arm), shares.get(arm, 0.0) if shares else None) for arm in names
    )


def _sample_ratio(sizes: tuple[ArmSize, ...], request: AnalysisRequest) -> SampleRatio | Undefined:
    if request.plan.weights is None:
        return Undefined(
            "no_planned_shares", "The publisher fixed the arms' sizes; there is no planned split to test."
        )
    return srm([size.units for size in sizes], [size.planned_share or 0.0 for size in sizes])


def _metric_result(
    metric: MetricSpec, summaries: Summaries, sizes: tuple[ArmSize, ...], request: AnalysisRequest
) -> MetricResult:
    others = [size.arm for size in sizes[1:]]
    return MetricResult(
        metric=metric,
        arms=tuple((size.arm, summaries.statistics(size.arm, metric)) for size in sizes),
        comparisons=tuple(
            ArmComparison(
                arm=arm,
                answer=_answer(metric, arm, summaries, request, alpha=request.plan.alpha),
                by_stratum=_by_stratum(metric, arm, summaries, request),
            )
            for arm in others
        ),
    )


def _answer(
    metric: MetricSpec, arm: str, summaries: Summaries, request: AnalysisRequest, *, alpha: float
) -> Comparison | Undefined:
    """An arm against control; over strata by weighted differences, so that their mix does not pose as an
    effect.
    """
    plan = request.plan
    if request.population.stratum is None:
        control, treatment = (summaries.statistics(name, metric) for name in (plan.control, arm))
        return compare(control, treatment, alpha=alpha, horizon=plan.horizon)
    strata = [
        Stratum(
            stratum,
            _moments(summaries.statistics(plan.control, metric, stratum=stratum)),
            _moments(summaries.statistics(arm, metric, stratum=stratum)),
        )
        for stratum in summaries.strata()
    ]
    return compare_stratified(strata, alpha=alpha, horizon=plan.horizon)


def _by_stratum(
    metric: MetricSpec, arm: str, summaries: Summaries, request: AnalysisRequest
) -> tuple[tuple[str, Comparison | Undefined], ...]:
    if request.population.stratum is None:
        return ()
    plan = request.plan
    return tuple(
        (
            stratum,
            compare(
                summaries.statistics(plan.control, metric, stratum=stratum),
                summaries.statistics(arm, metric, stratum=stratum),
                alpha=plan.alpha,
                horizon=plan.horizon,
            ),
        )
        for stratum in summaries.strata()
    )


def _moments(statistics: Counts | Moments) -> Moments:
    return statistics.moments() if isinstance(statistics, Counts) else statistics


def _verdicts(
    summaries: Summaries,
    sizes: tuple[ArmSize, ...],
    request: AnalysisRequest,
    *,
    metrics: tuple[MetricResult, ...],
    ratio: SampleRatio | Undefined,
) -> tuple[tuple[str, Verdict], ...]:
    """One per arm; with several, each primary is read at its share of alpha (Bonferroni), guardrails at the
    whole.
    """
    plan, others = request.plan, [size.arm for size in sizes[1:]]
    primary = request.metric(plan.primary)
    answers = {(m.metric.key, c.arm): c.answer for m in metrics for c in m.comparisons}
    return tuple(
        (
            arm,
            decide_verdict(
                primary=_reading(
                    primary, _answer(primary, arm, summaries, request, alpha=plan.alpha / len(others))
                ),
                sample_ratio=ratio,
                guardrails=[_reading(request.metric(key), answers[key, arm]) for key in plan.guardrails],
                at_planned_end=plan.at_planned_end,
            ),
        )
        for arm in others
    )


def _reading(metric: MetricSpec, answer: Comparison | Undefined) -> MetricReading:
    return MetricReading(metric.title or metric.key, metric.direction, answer)


def _series(
    events: ibis.Table, summaries: Summaries, sizes: tuple[ArmSize, ...], request: AnalysisRequest
) -> tuple[SeriesPoint, ...]:
    plan = request.plan
    centres = {m.key: _moments(summaries.statistics(plan.control, m)).mean for m in request.metrics}
    figures = daily_figures(events, request.population, request.metrics, centres=centres)
    at: dict[tuple[str, str, str], DayFigure] = {(str(f.day), f.metric, f.arm): f for f in figures}
    points = []
    for metric in request.metrics:
        for day in sorted({str(f.day) for f in figures}):
            base = at.get((day, metric.key, plan.control))
            for size in sizes[1:]:
                figure = at.get((day, metric.key, size.arm))
                if base is None or figure is None:
                    answer: Comparison | Undefined = Undefined("no_arm", "An arm has no exposed unit.")
                else:
                    answer = compare(
                        base.statistics, figure.statistics, alpha=plan.alpha, horizon=plan.horizon
                    )
                points.append(SeriesPoint(day, metric.key, size.arm, answer))
    return tuple(points)
