"""Always-valid intervals: their published boundary, and their level under daily looks."""

import math

import numpy as np
import pytest

from controlplane.stats.answers import Undefined
from controlplane.stats.comparison import Comparison
from controlplane.stats.means import compare_means
from controlplane.stats.moments import Counts, Moments
from controlplane.stats.proportions import compare_proportions
from controlplane.stats.sequential import AlwaysValid, always_valid, anytime_p_value, boundary


def test_boundary__tuned_sample__beats_neighbouring_tunings() -> None:
    at = boundary(10_000, alpha=0.05, horizon=10_000)
    assert at == pytest.approx(3.0, abs=0.04)
    assert at < boundary(10_000, alpha=0.05, horizon=9_000)
    assert at < boundary(10_000, alpha=0.05, horizon=11_000)


def test_boundary__formula__equals_waudby_smith_equation_9() -> None:
    n, alpha, horizon = 7_000, 0.05, 10_000
    # x solves x = log((x + 1) / alpha²): the stationary point of the width.
    x = 9.0
    for _ in range(200):
        x = math.log((x + 1) / alpha**2)
    rho2 = x / horizon
    expected = math.sqrt(n) * math.sqrt(
        2 * (n * rho2 + 1) / (n**2 * rho2) * math.log(math.sqrt(n * rho2 + 1) / alpha)
    )
    assert boundary(n, alpha=alpha, horizon=horizon) == pytest.approx(expected, rel=1e-12)


def test_anytime_p_value__at_the_boundary__is_alpha() -> None:
    z = boundary(4_000, alpha=0.05, horizon=10_000)
    assert anytime_p_value(z, 4_000, alpha=0.05, horizon=10_000) == pytest.approx(0.05, rel=1e-12)
    assert anytime_p_value(0.0, 4_000, alpha=0.05, horizon=10_000) == 1.0


def test_always_valid__comparison__wider_than_fixed_horizon_and_dual() -> None:
    answer = compare_proportions(Counts(5000, 500), Counts(5000, 640))
    assert isinstance(answer, Comparison)
    assert isinstance(answer.always_valid, AlwaysValid)
    assert answer.always_valid.interval.half_width > 1.5 * answer.interval.half_width
    assert answer.always_valid.interval.excludes(0.0) == (answer.always_valid.p_value < 0.05)
    assert not isinstance(answer.always_valid.relative, Undefined)
    assert answer.always_valid.relative.interval.excludes(0.0) == answer.always_valid.interval.excludes(0.0)


def test_always_valid__no_spread_or_no_units__undefined() -> None:
    still = always_valid(control=1.0, treatment=2.0, control_se=0.0, treatment_se=0.0, n=100, alpha=0.05)
    assert isinstance(still, Undefined)
    assert still.reason == "zero_variance"
    few = always_valid(control=1.0, treatment=2.0, control_se=1.0, treatment_se=1.0, n=1, alpha=0.05)
    assert isinstance(few, Undefined)
    assert few.reason == "invalid_input"


def test_always_valid__twenty_looks_without_effect__rarely_wrong_where_peeking_is_often() -> None:
    # 5,000 units per arm at 10 %, 20 equally spaced looks: a peeked z-test errs in a quarter of runs.
    rng = np.random.default_rng(11)
    runs, looks, step = 3000, 20, 250
    totals = rng.binomial(step, 0.1, (runs, 2, looks)).cumsum(axis=2)
    n = step * np.arange(1, looks + 1)
    rates = totals / n
    errors = np.sqrt((rates * (1 - rates) / n).sum(axis=1))
    z = np.abs(rates[:, 1] - rates[:, 0]) / errors
    widths = np.array([boundary(int(2 * k), alpha=0.05, horizon=10_000) for k in n])
    assert 0.22 < (z > 1.96).any(axis=1).mean() < 0.29
    assert 0.004 < (z > widths).any(axis=1).mean() < 0.02


def test_always_valid__two_percentage_points__found_in_most_runs() -> None:
    rng = np.random.default_rng(12)
    found = 0
    for a, b in zip(rng.binomial(5000, 0.10, 1000), rng.binomial(5000, 0.12, 1000), strict=True):
        answer = compare_proportions(Counts(5000, int(a)), Counts(5000, int(b)))
        assert isinstance(answer, Comparison)
        assert isinstance(answer.always_valid, AlwaysValid)
        found += answer.always_valid.interval.low > 0
    assert 0.55 < found / 1000 < 0.68


def test_compare_means__horizon__only_moves_the_always_valid_interval() -> None:
    arms = Moments(500, 1.0, 499.0), Moments(500, 1.2, 499.0)
    near, far = compare_means(*arms, horizon=1_000), compare_means(*arms, horizon=100_000)
    assert isinstance(near, Comparison)
    assert isinstance(far, Comparison)
    assert near.interval == far.interval
    assert isinstance(near.always_valid, AlwaysValid)
    assert isinstance(far.always_valid, AlwaysValid)
    assert near.always_valid.interval.half_width < far.always_valid.interval.half_width
