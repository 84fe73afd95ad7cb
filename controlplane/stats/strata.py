"""Comparing arms inside strata and pooling the differences, so that the mix of strata cannot pose as an
effect.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from controlplane.stats.answers import Undefined, invalid_alpha
from controlplane.stats.comparison import Comparison, Estimate, difference_of, unusable_sizes
from controlplane.stats.distributions import normal_critical, two_sided_normal
from controlplane.stats.moments import Moments
from controlplane.stats.sequential import DEFAULT_HORIZON


@dataclass(frozen=True, slots=True)
class Stratum:
    """One stratum: both arms' moments, and its weight; without a weight it counts by its share of all
    units.
    """

    key: str
    control: Moments
    treatment: Moments
    weight: float | None = None


def compare_stratified(
    strata: Sequence[Stratum], *, alpha: float = 0.05, horizon: int = DEFAULT_HORIZON
) -> Comparison | Undefined:
    """How do arms differ, holding the stratum fixed? Weighted mean of within-stratum means, two-sided normal.

    `control` and `treatment` of the answer are directly standardised means. Strata must hold disjoint units.
    """
    if wrong := invalid_alpha(alpha):
        return wrong
    if not strata:
        return Undefined("no_units", "There is no stratum.")
    if len({s.key for s in strata}) != len(strata):
        return Undefined("invalid_input", "A stratum is named twice; its units would count twice.")
    for stratum in strata:
        if wrong := unusable_sizes(stratum.control.n, stratum.treatment.n):
            return Undefined(wrong.reason, f"Stratum {stratum.key}: {wrong.detail}")
    weights = [float(s.control.n + s.treatment.n) if s.weight is None else s.weight for s in strata]
    if not all(math.isfinite(w) and w >= 0 for w in weights) or math.fsum(weights) == 0:
        return Undefined("invalid_input", "Stratum weights must be finite, not negative, and not all zero.")
    shares = [w / math.fsum(weights) for w in weights]
    control = _standardised([s.control for s in strata], shares)
    treatment = _standardised([s.treatment for s in strata], shares)
    standard_error = math.hypot(control.standard_error, treatment.standard_error)
    if not math.isfinite(standard_error + control.value + treatment.value):
        return Undefined("invalid_input", "A mean or variance is not finite.")
    if all(m.is_constant for s in strata for m in (s.control, s.treatment)):
        return Undefined("zero_variance", "All values within each stratum and arm are equal.")
    z = (treatment.value - control.value) / standard_error
    return difference_of(
        control,
        treatment,
        method="stratified",
        critical=normal_critical(alpha),
        p_value=two_sided_normal(z),
        statistic=z,
        degrees_of_freedom=None,
        alpha=alpha,
        horizon=horizon,
    )


def _standardised(arms: Sequence[Moments], shares: Sequence[float]) -> Estimate:
    pairs = list(zip(arms, shares, strict=True))
    return Estimate(
        n=sum(m.n for m in arms),
        value=math.fsum(share * m.mean for m, share in pairs),
        standard_error=math.sqrt(math.fsum(share * share * m.variance / m.n for m, share in pairs)),
    )
