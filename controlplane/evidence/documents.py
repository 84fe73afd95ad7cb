"""A result as the JSON document that is stored, shown and exported. Numbers are finite; what has no answer
says why.
"""

from typing import Any

from controlplane.core.canonical import digest
from controlplane.evidence.analysis import METHOD, VERSION, AnalysisResult, MetricResult, SeriesPoint
from controlplane.stats.answers import Interval, Undefined
from controlplane.stats.comparison import Comparison
from controlplane.stats.lift import RelativeLift
from controlplane.stats.moments import Counts, Moments
from controlplane.stats.sample_ratio import SampleRatio
from controlplane.stats.sequential import AlwaysValid
from controlplane.stats.verdict import Verdict


def result_document(result: AnalysisResult) -> dict[str, Any]:
    """The whole result. `inputs_digest` names the request and the lake version: equal digests, equal
    results.
    """
    request = result.request.to_json()
    units = sum(size.units for size in result.arms)
    return {
        "method": METHOD,
        "version": VERSION,
        "seed": None,
        "request": request,
        "lake_version": result.lake_version,
        "inputs_digest": digest(
            {"request": request, "lake_version": result.lake_version, "version": VERSION}
        ),
        "units": units,
        "multiple_exposure": result.multiple_exposure,
        "exposures_without_unit": result.exposures_without_unit,
        "arms": [
            {
                "arm": size.arm,
                "units": size.units,
                "share": size.units / units if units else None,
                "planned_share": size.planned_share,
            }
            for size in result.arms
        ],
        "sample_ratio": sample_ratio_document(result.sample_ratio),
        "metrics": [_metric(metric) for metric in result.metrics],
        "verdicts": [{"arm": arm, **verdict_document(verdict)} for arm, verdict in result.verdicts],
        "series": [_point(point) for point in result.series],
        "sql": result.sql,
    }


def comparison_document(answer: Comparison | Undefined) -> dict[str, Any]:
    """A comparison: every field of `Comparison`, intervals as {low, high}, or {undefined, detail}."""
    if isinstance(answer, Undefined):
        return undefined_document(answer)
    return {
        "method": answer.method,
        "n_control": answer.n_control,
        "n_treatment": answer.n_treatment,
        "control": answer.control,
        "treatment": answer.treatment,
        "difference": answer.difference,
        "standard_error": answer.standard_error,
        "statistic": answer.statistic,
        "degrees_of_freedom": answer.degrees_of_freedom,
        "p_value": answer.p_value,
        "alpha": answer.alpha,
        "interval": _interval(answer.interval),
        "relative": _relative(answer.relative),
        "always_valid": _always_valid(answer.always_valid),
    }


def sample_ratio_document(answer: SampleRatio | Undefined) -> dict[str, Any]:
    """Level, p-value, chi-square, expected sizes and the verdict in words, or {undefined, detail}."""
    if isinstance(answer, Undefined):
        return undefined_document(answer)
    return {
        "level": answer.level,
        "method": answer.method,
        "p_value": answer.p_value,
        "statistic": answer.statistic,
        "degrees_of_freedom": answer.degrees_of_freedom,
        "observed": list(answer.observed),
        "expected": list(answer.expected),
        "verdict": answer.verdict,
    }


def verdict_document(verdict: Verdict) -> dict[str, Any]:
    """The word, its reasons, how the primary metric was read and at which level."""
    return {
        "word": verdict.word,
        "reasons": list(verdict.reasons),
        "reading": verdict.reading,
        "alpha": verdict.alpha,
    }


def undefined_document(answer: Undefined) -> dict[str, Any]:
    """{undefined: reason, detail: words}."""
    return {"undefined": answer.reason, "detail": answer.detail}


def _metric(result: MetricResult) -> dict[str, Any]:
    return {
        "metric": result.metric.to_json(),
        "arms": [{"arm": arm, **_statistics(statistics)} for arm, statistics in result.arms],
        "comparisons": [
            {
                "arm": comparison.arm,
                **comparison_document(comparison.answer),
                "by_stratum": [
                    {"stratum": stratum, **comparison_document(answer)}
                    for stratum, answer in comparison.by_stratum
                ],
            }
            for comparison in result.comparisons
        ],
    }


def _statistics(statistics: Counts | Moments) -> dict[str, Any]:
    if isinstance(statistics, Counts):
        rate = statistics.rate if statistics.n else None
        return {"units": statistics.n, "value": rate, "successes": statistics.successes}
    return {
        "units": statistics.n,
        "value": statistics.mean if statistics.n else None,
        "variance": statistics.variance if statistics.n > 1 else None,
    }


def _point(point: SeriesPoint) -> dict[str, Any]:
    """A day's point keeps what a chart draws: sizes, difference and the always-valid band, which may be
    missing.
    """
    head = {"day": point.day, "metric": point.metric, "arm": point.arm}
    if isinstance(point.answer, Undefined):
        return {**head, **undefined_document(point.answer)}
    band = point.answer.always_valid
    return {
        **head,
        "n_control": point.answer.n_control,
        "n_treatment": point.answer.n_treatment,
        "control": point.answer.control,
        "treatment": point.answer.treatment,
        "difference": point.answer.difference,
        "band": undefined_document(band) if isinstance(band, Undefined) else _interval(band.interval),
    }


def _interval(interval: Interval) -> dict[str, float]:
    return {"low": interval.low, "high": interval.high}


def _relative(answer: RelativeLift | Undefined) -> dict[str, Any]:
    if isinstance(answer, Undefined):
        return undefined_document(answer)
    return {"estimate": answer.estimate, "interval": _interval(answer.interval)}


def _always_valid(answer: AlwaysValid | Undefined) -> dict[str, Any]:
    if isinstance(answer, Undefined):
        return undefined_document(answer)
    return {
        "interval": _interval(answer.interval),
        "relative": _relative(answer.relative),
        "p_value": answer.p_value,
        "horizon": answer.horizon,
    }
