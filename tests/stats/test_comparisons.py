"""Comparisons against scipy, statsmodels, published and hand-computed numbers, and what must hold for all
data.
"""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import confint_proportions_2indep, proportions_ztest

from controlplane.stats.answers import Interval, Undefined
from controlplane.stats.comparison import Comparison
from controlplane.stats.lift import RelativeLift, fieller
from controlplane.stats.means import compare_means, compare_ratios
from controlplane.stats.moments import CoMoments, Counts, Moments
from controlplane.stats.proportions import compare_proportions
from controlplane.stats.strata import Stratum, compare_stratified


def compared(answer: Comparison | Undefined) -> Comparison:
    assert isinstance(answer, Comparison), answer
    return answer


def lifted(answer: RelativeLift | Undefined) -> RelativeLift:
    assert isinstance(answer, RelativeLift), answer
    return answer


def reason(answer: object) -> str:
    assert isinstance(answer, Undefined), answer
    return answer.reason


def test_compare_means__two_samples__equals_scipy_welch() -> None:
    rng = np.random.default_rng(7)
    a, b = rng.gamma(2.0, 3.0, 400), rng.gamma(2.2, 3.1, 250)
    answer = compared(compare_means(Moments.of(a), Moments.of(b)))
    oracle = stats.ttest_ind(b, a, equal_var=False)
    interval = oracle.confidence_interval(0.95)
    assert answer.statistic == pytest.approx(oracle.statistic, rel=1e-12)
    assert answer.p_value == pytest.approx(oracle.pvalue, rel=1e-10)
    assert answer.degrees_of_freedom == pytest.approx(oracle.df, rel=1e-12)
    assert (answer.interval.low, answer.interval.high) == pytest.approx(
        (interval.low, interval.high), rel=1e-10
    )


def test_compare_means__hand_computed__exact() -> None:
    answer = compared(compare_means(Moments(4, 2.0, 6.0), Moments(9, 5.0, 72.0)))
    assert answer.difference == 3.0
    assert answer.standard_error == pytest.approx(math.sqrt(2 / 4 + 9 / 9))
    assert answer.degrees_of_freedom == pytest.approx(1.5**2 / (0.5**2 / 3 + 1.0**2 / 8))


def test_compare_means__t_of_22__p_does_not_underflow() -> None:
    # Two arms of 5,000 with unit variance and t = 22.4: 2·(1 − cdf) would be exactly 0.
    shift = 22.4 * math.sqrt(2 / 5000)
    answer = compared(compare_means(Moments(5000, 0.0, 4999.0), Moments(5000, shift, 4999.0)))
    assert answer.statistic == pytest.approx(22.4)
    assert math.log10(answer.p_value) == pytest.approx(math.log10(2 * stats.t.sf(22.4, 9998)), rel=1e-9)
    assert answer.p_value < 1e-105


@pytest.mark.parametrize(
    ("control", "treatment", "expected"),
    [
        (Moments(0, 0.0, 0.0), Moments(9, 1.0, 3.0), "no_units"),
        (Moments(9, 1.0, 3.0), Moments(1, 1.0, 0.0), "one_unit"),
        (Moments(9, 1.0, 0.0), Moments(9, 2.0, 0.0), "zero_variance"),
        (Moments(9, math.nan, 1.0), Moments(9, 2.0, 1.0), "invalid_input"),
        (Moments(9, 1.0, math.inf), Moments(9, 2.0, 1.0), "invalid_input"),
        (Moments(9, 1.0, -1.0), Moments(9, 2.0, 1.0), "invalid_input"),
        (Moments(-2, 1.0, 1.0), Moments(9, 2.0, 1.0), "invalid_input"),
    ],
)
def test_compare_means__no_answer__says_why(control: Moments, treatment: Moments, expected: str) -> None:
    assert reason(compare_means(control, treatment)) == expected


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1, math.nan])
def test_comparisons__impossible_alpha__undefined(alpha: float) -> None:
    assert reason(compare_means(Moments(9, 1.0, 1.0), Moments(9, 1.0, 1.0), alpha=alpha)) == "invalid_input"
    assert reason(compare_proportions(Counts(90, 30), Counts(90, 30), alpha=alpha)) == "invalid_input"


def test_compare_proportions__large__equals_statsmodels() -> None:
    answer = compared(compare_proportions(Counts(80, 48), Counts(70, 56)))
    _, p = proportions_ztest([56, 48], [70, 80])
    low, high = confint_proportions_2indep(56, 70, 48, 80, method="wald")
    assert answer.method == "two_proportions"
    assert answer.difference == pytest.approx(0.2)
    assert answer.p_value == pytest.approx(p, rel=1e-12)
    assert (answer.interval.low, answer.interval.high) == pytest.approx((low, high), rel=1e-12)


def test_compare_proportions__cookie_cats__published_rates() -> None:
    # Retention at day 7 of 44,700 players of gate_30 and 45,489 of gate_40.
    answer = compared(compare_proportions(Counts(44_700, 8_502), Counts(45_489, 8_279)))
    assert (round(answer.control, 4), round(answer.treatment, 4)) == (0.1902, 0.1820)
    assert answer.p_value == pytest.approx(proportions_ztest([8_279, 8_502], [45_489, 44_700])[1], rel=1e-10)
    assert answer.p_value == pytest.approx(0.0015543, rel=1e-4)
    assert answer.interval.excludes(0.0)
    assert lifted(answer.relative).interval.excludes(0.0)


def test_compare_proportions__small__fisher_and_newcombe() -> None:
    answer = compared(compare_proportions(Counts(12, 1), Counts(10, 6)))
    low, high = confint_proportions_2indep(6, 10, 1, 12, method="newcomb")
    assert answer.method == "fisher_exact"
    assert answer.p_value == pytest.approx(stats.fisher_exact([[6, 4], [1, 11]]).pvalue, rel=1e-12)
    assert (answer.interval.low, answer.interval.high) == pytest.approx((low, high), rel=1e-9)
    assert reason(answer.always_valid) == "small_counts"


@pytest.mark.parametrize(
    ("x1", "n1", "x2", "n2", "printed"),
    [
        (9, 10, 3, 10, (0.1705, 0.8090)),
        (6, 7, 2, 7, (0.0582, 0.8062)),
        (5, 56, 0, 29, (-0.0381, 0.1926)),
        (10, 10, 0, 20, (0.6791, 1.0)),
        (10, 10, 0, 10, (0.6075, 1.0)),
    ],
)
def test_compare_proportions__newcombes_table_2__method_10_as_printed(
    x1: int, n1: int, x2: int, n2: int, printed: tuple[float, float]
) -> None:
    answer = compared(compare_proportions(Counts(n2, x2), Counts(n1, x1)))
    assert answer.method == "fisher_exact"
    assert (round(answer.interval.low, 4), round(answer.interval.high, 4)) == printed


@pytest.mark.parametrize(
    ("control", "treatment", "expected"),
    [
        (Counts(0, 0), Counts(9, 1), "no_units"),
        (Counts(1, 0), Counts(9, 1), "one_unit"),
        (Counts(900, 0), Counts(900, 0), "zero_variance"),
        (Counts(900, 900), Counts(900, 900), "zero_variance"),
        (Counts(9, 10), Counts(9, 1), "invalid_input"),
        (Counts(9, -1), Counts(9, 1), "invalid_input"),
    ],
)
def test_compare_proportions__no_answer__says_why(control: Counts, treatment: Counts, expected: str) -> None:
    assert reason(compare_proportions(control, treatment)) == expected


def test_relative__baseline_unclear__undefined_not_infinite() -> None:
    answer = compared(compare_means(Moments(50, 0.1, 49.0), Moments(50, 3.0, 49.0)))
    assert reason(answer.relative) == "baseline_near_zero"
    assert answer.interval.excludes(0.0)


def test_relative__negative_baseline__sign_is_that_of_the_difference() -> None:
    answer = compared(compare_means(Moments(500, -10.0, 499.0), Moments(500, -5.0, 499.0)))
    lift = lifted(answer.relative)
    assert lift.estimate == 0.5
    assert 0.0 < lift.interval.low < 0.5 < lift.interval.high


def test_fieller__textbook_case__solves_the_quadratic() -> None:
    lift = lifted(fieller(control=1.0, treatment=1.5, control_se=0.1, treatment_se=0.2, critical=2.0))
    for end in (lift.interval.low, lift.interval.high):
        ratio = end + 1.0
        assert abs(1.5 - ratio) / math.hypot(0.2, ratio * 0.1) == pytest.approx(2.0, rel=1e-12)


moments = st.builds(
    lambda n, mean, sd: Moments(n, mean, (n - 1) * sd * sd),
    st.integers(2, 10_000),
    st.floats(-100, 100),
    st.floats(0.01, 50),
)


@given(moments, moments)
def test_relative__whenever_bounded__excludes_zero_iff_absolute_does(
    control: Moments, treatment: Moments
) -> None:
    answer = compared(compare_means(control, treatment))
    assume(abs(abs(answer.statistic or 0.0) - answer.interval.half_width / answer.standard_error) > 1e-6)
    if isinstance(answer.relative, RelativeLift):
        assert answer.relative.interval.excludes(0.0) == answer.interval.excludes(0.0)
        assert answer.interval.excludes(0.0) == (answer.p_value < 0.05)


@given(moments, moments)
def test_compare_means__arms_swapped__signs_flip(control: Moments, treatment: Moments) -> None:
    one, other = compared(compare_means(control, treatment)), compared(compare_means(treatment, control))
    assert other.difference == -one.difference
    assert other.interval.low == pytest.approx(-one.interval.high, rel=1e-12, abs=1e-12)
    assert other.p_value == pytest.approx(one.p_value, rel=1e-12)


counts = st.integers(2, 400).flatmap(lambda n: st.builds(Counts, st.just(n), st.integers(0, n)))


@given(counts, counts)
def test_compare_proportions__any_counts__total_and_dual(control: Counts, treatment: Counts) -> None:
    answer = compare_proportions(control, treatment)
    if isinstance(answer, Undefined):
        assert control.successes + treatment.successes in {0, control.n + treatment.n}
        return
    assert 0.0 < answer.p_value <= 1.0
    assert answer.interval.low <= answer.difference <= answer.interval.high
    if isinstance(answer.relative, RelativeLift) and min(map(abs, _ends(answer.interval))) > 1e-9:
        assert answer.relative.interval.excludes(0.0) == answer.interval.excludes(0.0)


def _ends(interval: Interval) -> tuple[float, float]:
    return interval.low, interval.high


def test_compare_ratios__constant_denominator__equals_means() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.poisson(3, 500), rng.poisson(3.3, 500)
    ratios = compared(compare_ratios(CoMoments.of(a, np.full(500, 2.0)), CoMoments.of(b, np.full(500, 2.0))))
    means = compared(compare_means(Moments.of(a / 2), Moments.of(b / 2)))
    assert ratios.difference == pytest.approx(means.difference, rel=1e-12)
    assert ratios.standard_error == pytest.approx(means.standard_error, rel=1e-12)


def test_compare_ratios__returning_units__wider_than_counting_events() -> None:
    rng = np.random.default_rng(4)
    rates = rng.beta(1, 4, 2000)
    shown = rng.poisson(20, 2000) + 1
    clicks = rng.binomial(shown, rates)
    arms = [CoMoments.of(clicks[i::2], shown[i::2]) for i in (0, 1)]
    answer = compared(compare_ratios(arms[0], arms[1]))
    pooled = clicks.sum() / shown.sum()
    naive = math.sqrt(pooled * (1 - pooled) * (1 / shown[::2].sum() + 1 / shown[1::2].sum()))
    draws = [
        clicks[1::2][i].sum() / shown[1::2][i].sum() - clicks[::2][j].sum() / shown[::2][j].sum()
        for i, j in (rng.integers(0, 1000, (2, 1000)) for _ in range(2000))
    ]
    assert answer.standard_error == pytest.approx(float(np.std(draws)), rel=0.05)
    assert answer.standard_error > 1.8 * naive


def test_compare_ratios__no_denominator__undefined() -> None:
    empty = CoMoments.of([0.0, 0.0, 0.0], [0.0, 0.0, 0.0])
    assert reason(compare_ratios(empty, empty)) == "baseline_near_zero"


def test_compare_stratified__mix_differs__simpsons_paradox_undone() -> None:
    # Within each stratum the treatment is better by exactly 0.1; pooled naively it looks worse.
    strata = [
        Stratum("men", Counts(1000, 100).moments(), Counts(9000, 1800).moments()),
        Stratum("women", Counts(9000, 4500).moments(), Counts(1000, 600).moments()),
    ]
    answer = compared(compare_stratified(strata))
    assert answer.difference == pytest.approx(0.1, rel=1e-12)
    naive = compared(compare_proportions(Counts(10_000, 4600), Counts(10_000, 2400)))
    assert naive.difference < 0
    variance = sum(
        0.25 * (p * (1 - p) / n) * n / (n - 1)
        for p, n in ((0.1, 1000), (0.2, 9000), (0.5, 9000), (0.6, 1000))
    )
    assert answer.standard_error == pytest.approx(math.sqrt(variance), rel=1e-12)


def test_compare_stratified__stratum_twice__refused() -> None:
    stratum = Stratum("all", Moments(9, 1.0, 3.0), Moments(9, 2.0, 3.0))
    assert reason(compare_stratified([stratum, stratum])) == "invalid_input"
    assert reason(compare_stratified([])) == "no_units"


def test_compare_stratified__one_arm_missing__names_the_stratum() -> None:
    answer = compare_stratified([Stratum("women", Moments(9, 1.0, 3.0), Moments(0, 0.0, 0.0))])
    assert isinstance(answer, Undefined)
    assert answer.reason == "no_units"
    assert answer.detail.startswith("Stratum women: ")


def test_fixed_horizon__same_effect_in_both_arms__rejects_five_per_cent() -> None:
    rng = np.random.default_rng(20)
    runs, n = 4000, 500
    converted = rng.binomial(n, 0.1, (runs, 2))
    wrong = sum(
        compared(compare_proportions(Counts(n, int(a)), Counts(n, int(b)))).p_value < 0.05
        for a, b in converted
    )
    assert 0.04 < wrong / runs < 0.06
