"""Cumulative figures by day, for charts only: what each arm looked like at the end of each day.

Figures of days share units, so they are plain statistics that nothing can add. Each is cumulative through the
unit table: a unit's running value counts once, however often it returns. A unit seen in two arms at any time
is left out from the start, so the last day equals the analysis.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import ibis
from ibis import _

from controlplane.evidence.population import MetricSpec, PopulationSpec
from controlplane.evidence.unit_table import first_exposures, outcome_events, outcome_value
from controlplane.stats.moments import Counts, Moments


@dataclass(frozen=True, slots=True)
class DayFigure:
    """An arm's metric over all units exposed by the end of `day` (UTC), with their values so far."""

    day: date
    arm: str
    metric: str
    statistics: Counts | Moments


def daily_figures(
    events: ibis.Table,
    spec: PopulationSpec,
    metrics: Sequence[MetricSpec],
    *,
    centres: Mapping[str, float],
) -> tuple[DayFigure, ...]:
    """Each arm and metric at the end of each day from the first exposure on; runs one query.

    `centres`: a rough mean per metric key, subtracted before squaring so that no precision is lost.
    """
    rows = daily_query(events, spec, metrics, centres=centres).to_pyarrow().to_pylist()
    figures: list[DayFigure] = []
    days = sorted({row["day"] for row in rows})
    span = [days[0] + timedelta(days=k) for k in range((days[-1] - days[0]).days + 1)] if days else []
    changes = {(row["day"], row["arm"]): row for row in rows}
    for arm in sorted({row["arm"] for row in rows}):
        n, sums, squares = 0, [0.0] * len(metrics), [0.0] * len(metrics)
        for day in span:
            if change := changes.get((day, arm)):
                n += int(change["n"])
                sums = [total + float(change[f"s{i}"]) for i, total in enumerate(sums)]
                squares = [total + float(change[f"q{i}"]) for i, total in enumerate(squares)]
            for i, metric in enumerate(metrics):
                centre = _centre(metric, centres)
                figures.append(
                    DayFigure(day, arm, metric.key, _figure(metric, n, sums[i], squares[i], centre))
                )
    return tuple(figures)


def daily_query(
    events: ibis.Table,
    spec: PopulationSpec,
    metrics: Sequence[MetricSpec],
    *,
    centres: Mapping[str, float],
) -> ibis.Table:
    """One row per day and arm: new units `n`, and the change of the sums (`s<i>`) and squares (`q<i>`) of
    values.
    """
    first = first_exposures(events, spec).filter(~_.crossed)
    outcomes = outcome_events(events, spec, metrics)
    after = first.inner_join(
        outcomes, [first.unit == outcomes.outcome_unit, first.first_exposure <= outcomes.occurred_at]
    )
    added = {
        f"d{i}": outcome_value(metric, metrics, total=True).fill_null(0).cast("float64")
        for i, metric in enumerate(metrics)
    }
    later = after.group_by(unit=_.unit, arm=_.arm, day=_.occurred_at.date()).aggregate(**added)
    zeros = {name: ibis.literal(0.0) for name in added}
    starts = first.select(unit=_.unit, arm=_.arm, day=_.first_exposure.date(), new=ibis.literal(1), **zeros)
    columns = ["unit", "arm", "day", "new", *added]
    steps = (
        starts.select(columns)
        .union(later.mutate(new=ibis.literal(0)).select(columns))
        .group_by("unit", "arm", "day")
        .aggregate(new=_.new.max(), **{name: _[name].sum() for name in added})
    )
    running = ibis.window(group_by="unit", order_by="day", preceding=None, following=0)
    walked = steps.mutate(**{f"c{i}": _[f"d{i}"].sum().over(running) for i in range(len(metrics))})
    changes: dict[str, Any] = {"n": _.new.sum()}
    for i, metric in enumerate(metrics):
        now, before = (
            _level(value, metric) - _centre(metric, centres)
            for value in (_[f"c{i}"], _[f"c{i}"] - _[f"d{i}"])
        )
        known = (_.new == 1).ifelse(0.0, before)
        changes[f"s{i}"] = (now - known).sum()
        changes[f"q{i}"] = (now * now - known * known).sum()
    return walked.group_by("day", "arm").aggregate(**changes).order_by("day", "arm")


def _level(total: Any, metric: MetricSpec) -> Any:
    """A unit's value from its running total: whether anything happened, or the total itself."""
    return (total > 0).ifelse(1.0, 0.0) if metric.kind == "proportion" else total


def _centre(metric: MetricSpec, centres: Mapping[str, float]) -> float:
    return 0.0 if metric.kind == "proportion" else centres.get(metric.key, 0.0)


def _figure(metric: MetricSpec, n: int, total: float, squares: float, centre: float) -> Counts | Moments:
    if metric.kind == "proportion":
        return Counts(n, round(total))
    if n == 0:
        return Moments(0, 0.0, 0.0)
    return Moments(n, centre + total / n, max(squares - total * total / n, 0.0))
