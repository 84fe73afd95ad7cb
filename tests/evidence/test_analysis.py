"""From events to results: arms, sample ratio, comparisons, strata, series, verdicts and their document."""

import json
import random
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from controlplane.evidence.analysis import AnalysisResult, analyse
from controlplane.evidence.daily import daily_figures
from controlplane.evidence.documents import result_document
from controlplane.evidence.plan import AnalysisRequest, Plan
from controlplane.evidence.population import MetricSpec
from controlplane.evidence.summaries import Summaries, summarise
from controlplane.evidence.unit_table import unit_table
from controlplane.stats.answers import Undefined
from controlplane.stats.comparison import Comparison
from controlplane.stats.means import compare_means
from controlplane.stats.moments import Counts, Moments, OverlappingUnits
from controlplane.stats.proportions import compare_proportions
from controlplane.stats.sample_ratio import SampleRatio
from tests.evidence.lakes import (
    CLICKS,
    END,
    PURCHASE,
    REVENUE,
    START,
    event,
    events_table,
    exposure,
    population,
    purchase,
    revenue,
)
from tests.evidence.test_unit_table import METRICS, random_events

Row = dict[str, Any]
EVEN = {"a": 5000, "b": 5000}


def shop(users: int, *, rates: dict[str, float], seed: int = 1) -> list[Row]:
    """Users who buy once with their arm's rate and spend around ten when they do."""
    rng = random.Random(seed)
    rows: list[Row] = []
    for i in range(users):
        user, arm = f"u{i}", rng.choice(sorted(rates))
        at = rng.uniform(0, 200)
        rows.append(exposure(user, arm, at, surface=rng.choice(["home", "search"])))
        if rng.random() < rates[arm]:
            rows.append(purchase(user, at + 1))
            rows.append(revenue(user, at + 1, float(rng.randrange(5, 16))))
    return rows


def analysed(
    rows: Sequence[Row], *metrics: MetricSpec, plan: Plan | None = None, **changes: Any
) -> AnalysisResult:
    measured = metrics or (PURCHASE, REVENUE)
    request = AnalysisRequest(
        "experiments.experiment:checkout",
        population(**changes),
        measured,
        plan or Plan("a", EVEN, measured[0].key),
    )
    return analyse(events_table(rows), request)


def test_analyse__clear_win__ships_with_the_numbers_of_a_direct_computation() -> None:
    rows = shop(4000, rates={"a": 0.1, "b": 0.2})
    result = analysed(rows)
    arms = {r["user_id"]: r["assignments"][0]["arm"] for r in rows if r["type"] == "exposure"}
    buyers = {r["user_id"] for r in rows if r["type"] == "conversion"}
    spent = dict.fromkeys(arms, 0.0) | {r["user_id"]: r["value"] for r in rows if r["type"] == "value"}
    counts = {
        arm: Counts(sum(a == arm for a in arms.values()), sum(arms[u] == arm for u in buyers)) for arm in "ab"
    }
    moments = {arm: Moments.of([v for u, v in spent.items() if arms[u] == arm]) for arm in "ab"}
    assert [(s.arm, s.units, s.planned_share) for s in result.arms] == [
        ("a", counts["a"].n, 0.5),
        ("b", counts["b"].n, 0.5),
    ]
    assert result.metrics[0].comparisons[0].answer == compare_proportions(counts["a"], counts["b"])
    answer, expected = result.metrics[1].comparisons[0].answer, compare_means(moments["a"], moments["b"])
    assert isinstance(answer, Comparison)
    assert isinstance(expected, Comparison)
    assert answer.difference == pytest.approx(expected.difference, rel=1e-12)
    assert answer.interval.low == pytest.approx(expected.interval.low, rel=1e-10)
    assert answer.p_value == pytest.approx(expected.p_value, rel=1e-9)
    assert [(arm, verdict.word) for arm, verdict in result.verdicts] == [("b", "ship")]
    assert isinstance(result.sample_ratio, SampleRatio)
    assert result.sample_ratio.level == "clear"


def test_analyse__no_effect__keeps_running() -> None:
    result = analysed(shop(2000, rates={"a": 0.1, "b": 0.1}))
    assert result.verdicts[0][1].word == "keep running"


def test_analyse__served_split_differs_from_plan__alarm_holds() -> None:
    rows = shop(3000, rates={"a": 0.1, "b": 0.3})
    arms = {r["user_id"]: r["assignments"][0]["arm"] for r in rows if r["type"] == "exposure"}
    skewed = [r for r in rows if arms[r["user_id"]] == "b" or int(r["user_id"][1:]) % 3]
    result = analysed(skewed)
    assert isinstance(result.sample_ratio, SampleRatio)
    assert result.sample_ratio.level == "alarm"
    assert result.verdicts[0][1].word == "hold"


def test_analyse__units_in_two_arms__excluded_and_counted() -> None:
    rows = [exposure(f"u{i}", "ab"[i % 2], 1) for i in range(100)]
    rows += [exposure("u0", "b", 2), purchase("u0", 3)]
    result = analysed(rows)
    assert result.multiple_exposure == 1
    assert [(s.arm, s.units) for s in result.arms] == [("a", 49), ("b", 50)]


def test_analyse__exposures_without_the_unit__counted_apart() -> None:
    result = analysed([exposure(None, "a", 1), exposure(None, "b", 1), exposure("u", "a", 1)])
    assert result.exposures_without_unit == 2
    assert sum(s.units for s in result.arms) == 1


def test_analyse__sizes_fixed_by_the_publisher__no_sample_ratio() -> None:
    result = analysed(shop(400, rates={"a": 0.3, "b": 0.3}), plan=Plan("a", None, "purchase"))
    assert isinstance(result.sample_ratio, Undefined)
    assert result.sample_ratio.reason == "no_planned_shares"
    assert {s.planned_share for s in result.arms} == {None}


def test_analyse__nothing_happened__every_answer_says_why() -> None:
    result = analysed([])
    assert [(s.arm, s.units) for s in result.arms] == [("a", 0), ("b", 0)]
    answers = [m.comparisons[0].answer for m in result.metrics]
    assert [a.reason for a in answers if isinstance(a, Undefined)] == ["no_units", "no_units"]
    assert result.verdicts[0][1].word == "keep running"
    assert result.series == ()
    json.dumps(result_document(result), allow_nan=False)


def test_analyse__no_outcome_events__says_no_events() -> None:
    result = analysed([exposure(f"u{i}", "ab"[i % 2], 1) for i in range(100)])
    answers = [m.comparisons[0].answer for m in result.metrics]
    assert [a.reason for a in answers if isinstance(a, Undefined)] == ["no_events", "no_events"]


def test_analyse__one_arm_silent__planned_arm_stands_with_zero_units() -> None:
    result = analysed([exposure(f"u{i}", "a", 1) for i in range(100)])
    assert [(s.arm, s.units) for s in result.arms] == [("a", 100), ("b", 0)]
    assert isinstance(result.sample_ratio, SampleRatio)
    assert result.sample_ratio.level == "alarm"


def test_analyse__arm_nobody_planned__listed_and_alarms() -> None:
    rows = [exposure(f"u{i}", "abz"[i % 3], 1) for i in range(300)]
    result = analysed(rows)
    assert [(s.arm, s.planned_share) for s in result.arms] == [("a", 0.5), ("b", 0.5), ("z", 0.0)]
    assert isinstance(result.sample_ratio, SampleRatio)
    assert (result.sample_ratio.method, result.sample_ratio.level) == ("impossible_arm", "alarm")


def test_analyse__three_arms__each_verdict_at_its_share_of_alpha() -> None:
    rows = shop(3000, rates={"a": 0.1, "b": 0.1, "c": 0.2})
    plan = Plan("a", {"a": 1, "b": 1, "c": 1}, "purchase")
    result = analysed(rows, plan=plan)
    assert [(arm, verdict.word, verdict.alpha) for arm, verdict in result.verdicts] == [
        ("b", "keep running", 0.025),
        ("c", "ship", 0.025),
    ]
    assert {c.answer.alpha for c in result.metrics[0].comparisons if isinstance(c.answer, Comparison)} == {
        0.05
    }


def test_analyse__strata__pooled_difference_ignores_their_mix() -> None:
    rows: list[Row] = []
    # Treatment is better by ten points in each stratum, but is shown mostly where few buy.
    for surface, arm, n, bought in (
        ("home", "a", 100, 60),
        ("home", "b", 400, 280),
        ("search", "a", 400, 40),
        ("search", "b", 100, 20),
    ):
        for i in range(n):
            user = f"{surface}{arm}{i}"
            rows.append(exposure(user, arm, 1, surface=surface))
            if i < bought:
                rows.append(purchase(user, 2))
    result = analysed(rows, PURCHASE, stratum="surface")
    comparison = result.metrics[0].comparisons[0]
    assert isinstance(comparison.answer, Comparison)
    assert comparison.answer.method == "stratified"
    assert comparison.answer.difference == pytest.approx(0.1, rel=1e-12)
    assert [stratum for stratum, _ in comparison.by_stratum] == ["home", "search"]
    assert {s.arm: s.units for s in result.arms} == {"a": 500, "b": 500}


def test_summaries__strata__pool_to_the_whole_and_refuse_a_second_count() -> None:
    events = events_table(shop(500, rates={"a": 0.2, "b": 0.2}))
    apart = summarise(unit_table(events, population(stratum="surface"), (REVENUE,)), (REVENUE,))
    whole = summarise(unit_table(events, population(), (REVENUE,)), (REVENUE,))
    for arm in "ab":
        pooled, direct = apart.statistics(arm, REVENUE), whole.statistics(arm, REVENUE)
        assert isinstance(pooled, Moments)
        assert isinstance(direct, Moments)
        assert pooled.n == direct.n
        assert pooled.mean == pytest.approx(direct.mean, rel=1e-12)
        assert pooled.m2 == pytest.approx(direct.m2, rel=1e-10)
    first = apart.arms[0].means["revenue"]
    with pytest.raises(OverlappingUnits):
        first + first


def test_summarise__values_far_from_zero__variance_keeps_its_digits() -> None:
    rows = [exposure(f"u{i}", "ab"[i // 4], 1) for i in range(8)]
    rows += [revenue(f"u{i}", 2, 1e9 + (4, 7, 13, 16)[i % 4]) for i in range(8)]
    found = summarise(unit_table(events_table(rows), population(), (REVENUE,)), (REVENUE,))
    statistics = found.statistics("a", REVENUE)
    assert isinstance(statistics, Moments)
    assert statistics.variance == pytest.approx(30.0, rel=1e-9)


@pytest.mark.parametrize("seed", range(2))
def test_daily_figures__every_day__equals_an_analysis_that_ends_that_midnight(seed: int) -> None:
    # Without crossing units, which a later look would exclude from the start.
    steady = [r for r in random_events(seed) if not r.get("assignments") or _steady(r)]
    events, spec = events_table(steady), population()
    figures = daily_figures(events, spec, METRICS, centres={"revenue": 20.0})
    assert len({f.day for f in figures}) >= 13
    by_day: dict[Any, Summaries] = {}
    for figure in figures:
        if figure.day not in by_day:
            ended = population(until=START + timedelta(days=(figure.day - START.date()).days + 1))
            by_day[figure.day] = summarise(unit_table(events, ended, METRICS), METRICS)
        metric = next(m for m in METRICS if m.key == figure.metric)
        expected = by_day[figure.day].statistics(figure.arm, metric)
        if isinstance(figure.statistics, Counts):
            assert figure.statistics == expected, figure
        else:
            assert isinstance(expected, Moments)
            assert figure.statistics.n == expected.n
            assert figure.statistics.mean == pytest.approx(expected.mean, rel=1e-9, abs=1e-9)
            assert figure.statistics.m2 == pytest.approx(expected.m2, rel=1e-9, abs=1e-6)


def test_analyse__series__last_day_is_the_result_and_the_band_always_valid() -> None:
    result = analysed(shop(1500, rates={"a": 0.2, "b": 0.3}))
    last = [p for p in result.series if p.metric == "purchase"][-1]
    assert last.answer == result.metrics[0].comparisons[0].answer
    document = result_document(result)
    point = [p for p in document["series"] if p["metric"] == "purchase"][-1]
    assert point["band"] == document["metrics"][0]["comparisons"][0]["always_valid"]["interval"]
    assert point["day"] < END.date().isoformat()


def test_result_document__equal_inputs__equal_digest_and_content() -> None:
    rows = shop(300, rates={"a": 0.2, "b": 0.3})
    shuffled = random.Random(3).sample(rows, len(rows))
    one, two = result_document(analysed(rows)), result_document(analysed(shuffled))
    assert one["inputs_digest"] == two["inputs_digest"]
    assert one["metrics"][0] == two["metrics"][0]
    assert one["sql"] == two["sql"]
    assert "SELECT" in one["sql"]
    other = result_document(analysed(rows, plan=Plan("a", EVEN, "purchase", alpha=0.01)))
    assert other["inputs_digest"] != one["inputs_digest"]


def test_analyse__returning_users_with_uneven_habits__level_is_kept() -> None:
    """A/A through the unit table: users return over days, click at very different rates; adding days would
    fail here.
    """
    rng = np.random.default_rng(9)
    users, runs = 200, 2400
    habits = rng.gamma(0.4, 2.0, users)
    rows: list[Row] = []
    for i in range(users):
        for day in range(int(rng.integers(1, 7))):
            rows.append(exposure(f"u{i}", "a", 24.0 * day))
            rows += [event("click", f"u{i}", 24.0 * day + 1) for _ in range(rng.poisson(habits[i]))]
    table = unit_table(events_table(rows), population(), (CLICKS,)).to_pyarrow()
    clicks = np.array(table["m0"].to_pylist(), dtype=float)
    rejected = 0
    for _ in range(runs):
        arms = rng.random(users) < 0.5
        answer = compare_means(Moments.of(clicks[arms]), Moments.of(clicks[~arms]))
        assert isinstance(answer, Comparison)
        rejected += answer.p_value < 0.05
    assert 0.035 < rejected / runs < 0.065


def _steady(row: Row) -> bool:
    arm = row["assignments"][0]["arm"]
    return arm is None or row["user_id"] is None or arm == "abc"[int(row["user_id"][1:]) % 3]
