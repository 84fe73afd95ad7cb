"""The unit table: one row per unit of a population, with one column per metric. The only way from events to
numbers.
"""

from collections.abc import Sequence
from functools import reduce
from operator import or_
from typing import Any

import ibis
from ibis import _

from controlplane.evidence.population import MetricSpec, PopulationSpec, distinct_keys

UNIT_COLUMNS = {
    "user": "user_id",
    "anonymous": "anonymous_id",
    "session": "session_id",
    "request": "request_id",
}


def unit_table(events: ibis.Table, spec: PopulationSpec, metrics: Sequence[MetricSpec]) -> ibis.Table:
    """One row per exposed unit: `unit, arm, first_exposure, crossed[, stratum]`, and a column per metric's
    position.

    Metric i is column `m<i>`: 0 or 1 for proportions, a number for means. `crossed` marks units seen in more
    than one arm; they are kept so that they can be counted, and excluded by every reader. `events` has the
    lake's columns.
    """
    distinct_keys(metrics)
    first = first_exposures(events, spec)
    outcomes = outcome_events(events, spec, metrics)
    joined = first.left_join(
        outcomes, [first.unit == outcomes.outcome_unit, first.first_exposure <= outcomes.occurred_at]
    )
    # Every row of a unit carries the same arm and first exposure, so any of them will do.
    carried = [name for name in first.columns if name != "unit"]
    measured = {f"m{i}": outcome_value(metric, metrics).fill_null(0) for i, metric in enumerate(metrics)}
    return joined.group_by("unit").aggregate(**{name: _[name].arbitrary() for name in carried}, **measured)


def exposures(events: ibis.Table, spec: PopulationSpec) -> ibis.Table:
    """One row per exposure event and assignment to the experiment: `unit` (may be null), `arm`,
    `occurred_at`.
    """
    extra = {"stratum": _[spec.stratum]} if spec.stratum else {}
    assigned = (
        _in_scope(events, spec)
        .filter(_.type.isin(spec.exposure_types))
        .select(
            unit=_[UNIT_COLUMNS[spec.unit]],
            occurred_at=_.occurred_at,
            assignment=_.assignments.unnest(),
            **extra,
        )
        .filter(_.assignment.experiment == spec.experiment, _.assignment.arm.notnull())
    )
    if spec.phase is not None:
        assigned = assigned.filter(_.assignment.phase == spec.phase)
    return assigned.mutate(arm=_.assignment.arm).drop("assignment")


def _in_scope(events: ibis.Table, spec: PopulationSpec) -> ibis.Table:
    scoped = events.filter(_.environment == spec.environment, _.occurred_at < ibis.literal(spec.until))
    return scoped if spec.since is None else scoped.filter(_.occurred_at >= ibis.literal(spec.since))


def first_exposures(events: ibis.Table, spec: PopulationSpec) -> ibis.Table:
    """One row per unit: `unit, arm, first_exposure, crossed[, stratum]`."""
    seen = exposures(events, spec).filter(_.unit.notnull())
    extra = {"stratum": _.stratum.argmin(_.occurred_at)} if spec.stratum else {}
    return (
        seen.group_by("unit")
        .aggregate(arm=_.arm.min(), last_arm=_.arm.max(), first_exposure=_.occurred_at.min(), **extra)
        .mutate(crossed=_.arm != _.last_arm)
        .drop("last_arm")
    )


def outcome_events(events: ibis.Table, spec: PopulationSpec, metrics: Sequence[MetricSpec]) -> ibis.Table:
    """The events any metric counts, with a small number for their sort: joining on numbers is cheaper than on
    names.
    """
    unit = UNIT_COLUMNS[spec.unit]
    sorts = _sorts(metrics)
    wanted = reduce(or_, [_is_of(sort) for sort in sorts])
    finite = ~(_.value.isnan() | _.value.isinf())
    return (
        _in_scope(events, spec)
        .filter(wanted, _[unit].notnull())
        .select(
            outcome_unit=_[unit],
            occurred_at=_.occurred_at,
            sort=ibis.cases(*[(_is_of(sort), number) for number, sort in enumerate(sorts)]),
            value=finite.ifelse(_.value, None),
        )
    )


def _sorts(metrics: Sequence[MetricSpec]) -> list[tuple[str, str | None]]:
    """The sorts of events in play, named ones before their whole type, so that the first that fits is the
    closest.
    """
    return sorted({(m.event_type, m.name) for m in metrics}, key=lambda s: (s[0], s[1] is None, s[1] or ""))


def _is_of(sort: tuple[str, str | None]) -> Any:
    of_type = _.type == sort[0]
    return of_type if sort[1] is None else of_type & (_.name == sort[1])


def outcome_value(metric: MetricSpec, metrics: Sequence[MetricSpec], *, total: bool = False) -> Any:
    """The metric's value of one group of joined rows (first exposure and outcome), null or 0 when none
    counts.

    With `total`, proportions give how many events counted instead of whether any did.
    """
    fitting = [
        number
        for number, (kind, name) in enumerate(_sorts(metrics))
        if kind == metric.event_type and metric.name in {None, name}
    ]
    counted = reduce(or_, [_["sort"] == number for number in fitting])
    if metric.delay_hours:
        counted &= _.occurred_at >= _.first_exposure + _hours(metric.delay_hours)
    if metric.window_hours is not None:
        counted &= _.occurred_at < _.first_exposure + _hours(metric.window_hours)
    if metric.aggregation == "sum":
        return _.value.sum(where=counted)
    flags = counted.ifelse(1, 0)
    return flags.sum() if total or metric.aggregation == "count" else flags.max()


def _hours(hours: float) -> Any:
    return ibis.interval(seconds=round(hours * 3600))
