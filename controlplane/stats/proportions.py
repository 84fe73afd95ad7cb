"""Comparing shares of converting units between two arms."""

import math
from dataclasses import dataclass

from controlplane.stats.answers import Interval, Undefined, invalid_alpha
from controlplane.stats.comparison import Comparison, Estimate, difference_of, unusable_sizes
from controlplane.stats.distributions import fisher_two_sided, normal_critical, two_sided_normal
from controlplane.stats.lift import RelativeLift
from controlplane.stats.moments import Counts
from controlplane.stats.sequential import DEFAULT_HORIZON

SMALL_EXPECTED = 5.0
"""Below this expected number in any cell the exact test is used (Cochran's rule)."""


def compare_proportions(
    control: Counts, treatment: Counts, *, alpha: float = 0.05, horizon: int = DEFAULT_HORIZON
) -> Comparison | Undefined:
    """Do the arms' conversion rates differ?

    Large samples: two-sided pooled z-test for the p-value, unpooled (Wald) interval of the difference,
    Fieller's interval of the lift with the same standard errors. When an expected cell is below 5, or each
    arm is all or nothing: Fisher's exact p-value with Newcombe's hybrid score interval (1998, method 10) and
    its dual for the ratio (Donner and Zou 2012).
    """
    if wrong := invalid_alpha(alpha) or unusable_sizes(control.n, treatment.n):
        return wrong
    for arm, counts in (("control", control), ("treatment", treatment)):
        if not 0 <= counts.successes <= counts.n:
            return Undefined(
                "invalid_input", f"The {arm} arm has {counts.successes} conversions of {counts.n} units."
            )
    pooled = (control.successes + treatment.successes) / (control.n + treatment.n)
    if pooled in {0.0, 1.0}:
        which = "No unit" if pooled == 0.0 else "Every unit"
        return Undefined("zero_variance", f"{which} converted in either arm, so chance cannot be judged.")
    no_spread = _wald_error(control) == _wald_error(treatment) == 0.0
    if no_spread or min(pooled, 1 - pooled) * min(control.n, treatment.n) < SMALL_EXPECTED:
        return _compare_exactly(control, treatment, alpha=alpha)
    pooled_se = math.sqrt(pooled * (1 - pooled) * (1 / control.n + 1 / treatment.n))
    z = (treatment.rate - control.rate) / pooled_se
    return difference_of(
        Estimate(control.n, control.rate, _wald_error(control)),
        Estimate(treatment.n, treatment.rate, _wald_error(treatment)),
        method="two_proportions",
        critical=normal_critical(alpha),
        p_value=two_sided_normal(z),
        statistic=z,
        degrees_of_freedom=None,
        alpha=alpha,
        horizon=horizon,
    )


@dataclass(frozen=True, slots=True)
class _Scored:
    """A rate with its Wilson score limits."""

    rate: float
    low: float
    high: float


def _compare_exactly(control: Counts, treatment: Counts, *, alpha: float) -> Comparison:
    z = normal_critical(alpha)
    base, other = _wilson(control, z), _wilson(treatment, z)
    difference = treatment.rate - control.rate
    errors = _wald_error(control), _wald_error(treatment)
    return Comparison(
        method="fisher_exact",
        n_control=control.n,
        n_treatment=treatment.n,
        control=control.rate,
        treatment=treatment.rate,
        difference=difference,
        standard_error=math.hypot(*errors),
        statistic=None,
        degrees_of_freedom=None,
        p_value=fisher_two_sided(
            treatment.successes,
            treatment.n - treatment.successes,
            control.successes,
            control.n - control.successes,
        ),
        alpha=alpha,
        interval=Interval(
            difference - math.hypot(other.rate - other.low, base.high - base.rate),
            difference + math.hypot(other.high - other.rate, base.rate - base.low),
        ),
        relative=_score_lift(base, other),
        always_valid=Undefined(
            "small_counts",
            "Fewer than five conversions or non-conversions are expected in an arm; too early for an always-valid "
            "interval.",
        ),
    )


def _wald_error(counts: Counts) -> float:
    return math.sqrt(counts.successes * (counts.n - counts.successes) / counts.n) / counts.n


def _wilson(counts: Counts, z: float) -> _Scored:
    """Wilson's score limits (1927); a rate of 0 or 1 is its own limit on that side."""
    n, rate = counts.n, counts.rate
    centre = (rate + z * z / (2 * n)) / (1 + z * z / n)
    spread = z / (1 + z * z / n) * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    low = 0.0 if counts.successes == 0 else centre - spread
    high = 1.0 if counts.successes == n else centre + spread
    return _Scored(rate, low, high)


def _score_lift(control: _Scored, treatment: _Scored) -> RelativeLift | Undefined:
    """Ratio of rates from two score intervals; excludes no change exactly when Newcombe's difference does."""
    if control.low <= 0.0:
        return Undefined(
            "baseline_near_zero",
            "The control rate may be zero, so the lift relative to it has no bounded interval. "
            "Read the absolute difference.",
        )
    product = control.rate * treatment.rate
    below = treatment.low * (2 * treatment.rate - treatment.low)
    above = treatment.high * (2 * treatment.rate - treatment.high)
    low = 0.0
    if below > 0.0:
        ceiling = control.high * (2 * control.rate - control.high)
        low = below / (product + math.sqrt(max(product**2 - below * ceiling, 0.0)))
    base = control.low * (2 * control.rate - control.low)
    high = (product + math.sqrt(max(product**2 - above * base, 0.0))) / base
    return RelativeLift(treatment.rate / control.rate - 1.0, Interval(low - 1.0, high - 1.0))
