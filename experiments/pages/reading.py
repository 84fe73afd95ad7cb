"""A stored result's JSON read back as the laws' own values, so that the page judges with the same functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from controlplane.stats.answers import Interval, Undefined
from controlplane.stats.comparison import Comparison
from controlplane.stats.lift import RelativeLift
from controlplane.stats.sequential import AlwaysValid
from controlplane.stats.verdict import Effect, MetricReading, Reading, effect_of


def undefined(document: Mapping[str, Any]) -> Undefined | None:
    """The reason why there is no answer, or None when there is one."""
    return Undefined(document["undefined"], document["detail"]) if "undefined" in document else None


def comparison(document: Mapping[str, Any]) -> Comparison | Undefined:
    """One arm against control."""
    missing = undefined(document)
    if missing is not None:
        return missing
    return Comparison(
        method=document["method"],
        n_control=document["n_control"],
        n_treatment=document["n_treatment"],
        control=document["control"],
        treatment=document["treatment"],
        difference=document["difference"],
        standard_error=document["standard_error"],
        statistic=document["statistic"],
        degrees_of_freedom=document["degrees_of_freedom"],
        p_value=document["p_value"],
        alpha=document["alpha"],
        interval=Interval(**document["interval"]),
        relative=_relative(document["relative"]),
        always_valid=_always_valid(document["always_valid"]),
    )


def effect(metric: Mapping[str, Any], document: Mapping[str, Any], *, reading: str) -> Effect:
    """Whether the arm is clearly better or worse on the metric, as the decision rule reads it."""
    measured = MetricReading(metric["title"] or metric["key"], metric["direction"], comparison(document))
    return effect_of(measured, reading=cast("Reading", reading))


def _relative(document: Mapping[str, Any]) -> RelativeLift | Undefined:
    missing = undefined(document)
    return missing or RelativeLift(document["estimate"], Interval(**document["interval"]))


def _always_valid(document: Mapping[str, Any]) -> AlwaysValid | Undefined:
    missing = undefined(document)
    if missing is not None:
        return missing
    return AlwaysValid(
        interval=Interval(**document["interval"]),
        relative=_relative(document["relative"]),
        p_value=document["p_value"],
        horizon=document["horizon"],
    )
