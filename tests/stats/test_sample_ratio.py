"""Sample ratio mismatch against scipy, published sizes and exact enumeration."""

import math
from collections.abc import Sequence

import pytest
from scipy import stats

from controlplane.stats.answers import Undefined
from controlplane.stats.sample_ratio import SampleRatio, srm


def judged(observed: Sequence[int], weights: Sequence[float]) -> SampleRatio:
    answer = srm(observed, weights)
    assert isinstance(answer, SampleRatio), answer
    return answer


def test_srm__cookie_cats__not_flagged_but_look() -> None:
    answer = judged([44_700, 45_489], [5_000, 5_000])
    assert answer.statistic == pytest.approx(6.9024, abs=5e-5)
    assert round(answer.p_value, 4) == 0.0086
    assert answer.level == "look"
    assert answer.verdict.startswith("Not flagged, look at it: ")


def test_srm__arm_without_share__does_not_count_as_a_degree_of_freedom() -> None:
    answer = judged([5050, 4950, 0], [0.5, 0.5, 0.0])
    assert answer.degrees_of_freedom == 1
    assert answer.p_value == pytest.approx(0.3173105, abs=1e-7)


def test_srm__sixty_forty_on_fifty_fifty__alarm() -> None:
    answer = judged([600, 400], [0.5, 0.5])
    assert answer.level == "alarm"
    assert answer.statistic == pytest.approx(40.0)


def test_srm__units_in_an_arm_without_share__alarm() -> None:
    answer = judged([5000, 5000, 3], [0.5, 0.5, 0.0])
    assert (answer.method, answer.p_value, answer.level) == ("impossible_arm", 0.0, "alarm")


def test_srm__three_arms__equals_scipy() -> None:
    answer = judged([3333, 3301, 3600], [1, 1, 1])
    oracle = stats.chisquare([3333, 3301, 3600])
    assert answer.statistic == pytest.approx(oracle.statistic, rel=1e-12)
    assert answer.p_value == pytest.approx(oracle.pvalue, rel=1e-10)


@pytest.mark.parametrize(("observed", "method"), [([110, 89], "exact_binomial"), ([110, 90], "chi_square")])
def test_srm__around_two_hundred_units__exact_below(observed: list[int], method: str) -> None:
    assert judged(observed, [1, 1]).method == method


def test_srm__few_units__equals_binomial_test() -> None:
    assert judged([14, 4], [0.7, 0.3]).p_value == pytest.approx(
        stats.binomtest(14, 18, 0.7).pvalue, rel=1e-12
    )


def test_srm__few_units_three_arms__equals_enumeration() -> None:
    shares, seen = (0.5, 0.3, 0.2), (1, 4, 5)
    law = stats.multinomial(10, shares)
    outcomes = [(a, b, 10 - a - b) for a in range(11) for b in range(11 - a)]
    expected = sum(law.pmf(o) for o in outcomes if law.pmf(o) <= law.pmf(seen) * (1 + 1e-9))
    answer = judged(seen, shares)
    assert answer.method == "exact_multinomial"
    assert answer.p_value == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("observed", "weights", "reason"),
    [
        ([0, 0], [1, 1], "no_units"),
        ([10, 10], [1, 0], "single_arm"),
        ([10], [1], "single_arm"),
        ([10, 10], [1], "invalid_input"),
        ([10, 10], [1, -1], "invalid_input"),
        ([10, 10], [1, math.nan], "invalid_input"),
        ([-1, 10], [1, 1], "invalid_input"),
        ([3, 3, 3, 3], [1, 1, 1, 1], "small_counts"),
    ],
)
def test_srm__no_answer__says_why(observed: list[int], weights: list[float], reason: str) -> None:
    answer = srm(observed, weights)
    assert isinstance(answer, Undefined)
    assert answer.reason == reason
