"""Comparing means and ratios of means between two arms."""

import math

from controlplane.stats.answers import Undefined, invalid_alpha
from controlplane.stats.comparison import Comparison, Estimate, difference_of, unusable_sizes
from controlplane.stats.distributions import normal_critical, t_critical, two_sided_normal, two_sided_t
from controlplane.stats.moments import CoMoments, Moments
from controlplane.stats.sequential import DEFAULT_HORIZON


def compare_means(
    control: Moments, treatment: Moments, *, alpha: float = 0.05, horizon: int = DEFAULT_HORIZON
) -> Comparison | Undefined:
    """Do the arms' means differ? Welch's t-test, two-sided, degrees of freedom by Satterthwaite.

    `horizon` is the planned total of both arms, for the always-valid interval.

    >>> answer = compare_means(Moments.of([1, 2, 3, 4]), Moments.of([3, 4, 5, 6]))
    >>> round(answer.p_value, 6) if isinstance(answer, Comparison) else answer
    0.070988
    """
    if wrong := invalid_alpha(alpha) or unusable_sizes(control.n, treatment.n):
        return wrong
    if not all(map(math.isfinite, (control.mean, control.m2, treatment.mean, treatment.m2))):
        return Undefined("invalid_input", "A mean or variance is not finite.")
    if control.m2 < 0 or treatment.m2 < 0:
        return Undefined("invalid_input", "A sum of squared deviations is negative.")
    if control.is_constant and treatment.is_constant:
        return Undefined("zero_variance", "All values within each arm are equal, so chance cannot be judged.")
    shares = control.variance / control.n, treatment.variance / treatment.n
    standard_error = math.sqrt(shares[0] + shares[1])
    # Satterthwaite's formula on shares of the total, so that tiny and huge units neither under- nor overflow.
    scaled = shares[0] / (shares[0] + shares[1]), shares[1] / (shares[0] + shares[1])
    df = 1.0 / (scaled[0] ** 2 / (control.n - 1) + scaled[1] ** 2 / (treatment.n - 1))
    t = (treatment.mean - control.mean) / standard_error
    return difference_of(
        Estimate(control.n, control.mean, math.sqrt(shares[0])),
        Estimate(treatment.n, treatment.mean, math.sqrt(shares[1])),
        method="welch",
        critical=t_critical(alpha, df),
        p_value=two_sided_t(t, df),
        statistic=t,
        degrees_of_freedom=df,
        alpha=alpha,
        horizon=horizon,
    )


def compare_ratios(
    control: CoMoments, treatment: CoMoments, *, alpha: float = 0.05, horizon: int = DEFAULT_HORIZON
) -> Comparison | Undefined:
    """Do ratios of totals (clicks per impression) differ, when units rather than events were randomised?

    Delta method, divisor n − 1; source: Deng, Knoblich, Lu 2018, eq. 6. Two-sided normal.
    """
    if wrong := invalid_alpha(alpha) or unusable_sizes(control.n, treatment.n):
        return wrong
    estimates = _ratio(control), _ratio(treatment)
    if isinstance(estimates[0], Undefined):
        return estimates[0]
    if isinstance(estimates[1], Undefined):
        return estimates[1]
    standard_error = math.hypot(estimates[0].standard_error, estimates[1].standard_error)
    if standard_error == 0.0:
        return Undefined("zero_variance", "The ratio is the same for every unit, so chance cannot be judged.")
    z = (estimates[1].value - estimates[0].value) / standard_error
    return difference_of(
        estimates[0],
        estimates[1],
        method="delta_ratio",
        critical=normal_critical(alpha),
        p_value=two_sided_normal(z),
        statistic=z,
        degrees_of_freedom=None,
        alpha=alpha,
        horizon=horizon,
    )


def _ratio(arm: CoMoments) -> Estimate | Undefined:
    values = (arm.numerator, arm.denominator, arm.numerator_m2, arm.denominator_m2, arm.cross)
    if not all(map(math.isfinite, values)):
        return Undefined("invalid_input", "A moment is not finite.")
    if arm.denominator == 0.0:
        return Undefined("baseline_near_zero", "The mean denominator is zero.")
    ratio = arm.numerator / arm.denominator
    residual = arm.numerator_m2 - 2 * ratio * arm.cross + ratio * ratio * arm.denominator_m2
    variance = max(residual, 0.0) / (arm.n - 1) / (arm.denominator * arm.denominator) / arm.n
    return Estimate(arm.n, ratio, math.sqrt(variance))
