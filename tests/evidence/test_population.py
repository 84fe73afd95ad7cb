"""Populations and metrics: what they refuse, and that their JSON is the same thing."""

from datetime import datetime
from typing import Any

import pytest

from controlplane.evidence.plan import AnalysisRequest, Plan
from controlplane.evidence.population import InvalidSpec, MetricSpec, PopulationSpec
from tests.evidence.lakes import CLICKS, PURCHASE, REVENUE, START, population

METRIC = {
    "key": "buy",
    "kind": "proportion",
    "event_type": "conversion",
    "aggregation": "any",
    "name": "purchase",
}


def test_population__json__round_trips() -> None:
    spec = population(
        unit="session", exposure_types=("exposure", "impression"), stratum="surface", phase=None
    )
    assert PopulationSpec.from_json(spec.to_json()) == spec


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"unit": "household"}, "unit"),
        ({"environment": ""}, "environment"),
        ({"experiment": ""}, "experiment"),
        ({"exposure_types": ()}, "exposure_types"),
        ({"exposure_types": ("click",)}, "exposure_types"),
        ({"stratum": "weather"}, "stratum"),
        ({"until": START}, "until"),
        ({"since": datetime(2026, 3, 2)}, "since"),
    ],
)
def test_population__impossible__names_the_field(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidSpec) as refused:
        population(**changes)
    assert refused.value.field == field


def test_metric__json__round_trips() -> None:
    spec = MetricSpec(
        "d7", "proportion", "custom", "retention", name="open", delay_hours=144, window_hours=168
    )
    assert MetricSpec.from_json(spec.to_json()) == spec
    assert "key" not in spec.content()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"kind": "quantile"}, "kind"),
        ({"kind": "mean"}, "aggregation"),
        ({"aggregation": "sum", "kind": "mean"}, "value_field"),
        ({"value_field": "value"}, "value_field"),
        ({"event_type": "purchase"}, "event_type"),
        ({"name": "Purchase!"}, "name"),
        ({"window_hours": 0}, "window_hours"),
        ({"window_hours": "72"}, "window_hours"),
        ({"delay_hours": 24, "window_hours": 24}, "window_hours"),
        ({"delay_hours": float("nan")}, "delay_hours"),
        ({"delay_hours": True}, "delay_hours"),
        ({"direction": "up"}, "direction"),
        ({"colour": "red"}, "colour"),
        ({"key": "Über"}, "key"),
        ({"unit": 3}, "unit"),
    ],
)
def test_metric__impossible__names_the_field(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidSpec) as refused:
        MetricSpec.from_json({**METRIC, **changes})
    assert refused.value.field == field
    assert refused.value.remedy


def test_metric__kind_left_out__says_so() -> None:
    with pytest.raises(InvalidSpec, match="aggregation: is missing"):
        MetricSpec.from_json({k: v for k, v in METRIC.items() if k != "aggregation"})


@pytest.mark.parametrize(
    ("plan", "field"),
    [
        ({"alpha": 0.0}, "alpha"),
        ({"horizon": 1}, "horizon"),
        ({"weights": {"a": 1.0, "b": -1.0}}, "weights"),
        ({"weights": {"b": 1.0}}, "control"),
    ],
)
def test_plan__impossible__names_the_field(plan: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidSpec) as refused:
        Plan(**{"control": "a", "weights": {"a": 1.0, "b": 1.0}, "primary": "purchase", **plan})
    assert refused.value.field == field


def test_request__json__round_trips() -> None:
    plan = Plan(
        "a", {"a": 5000, "b": 5000}, "purchase", guardrails=("clicks",), alpha=0.01, at_planned_end=True
    )
    request = AnalysisRequest(
        "experiments.experiment:checkout", population(), (PURCHASE, REVENUE, CLICKS), plan, series=False
    )
    assert AnalysisRequest.from_json(request.to_json()) == request


def test_request__primary_not_measured__refused() -> None:
    with pytest.raises(InvalidSpec, match="primary"):
        AnalysisRequest("x", population(), (CLICKS,), Plan("a", None, "purchase"))


def test_request__metric_twice__refused() -> None:
    with pytest.raises(InvalidSpec, match="metrics"):
        AnalysisRequest("x", population(), (CLICKS, CLICKS), Plan("a", None, "clicks"))


def test_population__written_times__are_utc() -> None:
    assert population().to_json()["since"] == "2026-03-02T00:00:00Z"
