"""Relative lift with an interval that agrees with the absolute test."""

import math
from dataclasses import dataclass

from controlplane.stats.answers import Interval, Undefined


@dataclass(frozen=True, slots=True)
class RelativeLift:
    """(treatment − control) / |control|, as a fraction: 0.02 is plus two per cent.

    The denominator is the control mean in absolute value, so that the sign is that of the difference also
    when the baseline is negative.
    """

    estimate: float
    interval: Interval


def fieller(
    *, control: float, treatment: float, control_se: float, treatment_se: float, critical: float
) -> RelativeLift | Undefined:
    """Which relative lifts do the data not reject? The exact dual of the absolute test with the same
    `critical`.

    Source: Fieller 1954. The set {r: |treatment − r·control| ≤ critical·se(r)} is an interval only while the
    control mean is further than `critical` standard errors from zero (g < 1); otherwise there is no bounded
    answer.
    """
    leading = control * control - (critical * control_se) ** 2
    if leading <= 0.0:
        return Undefined(
            "baseline_near_zero",
            f"The control mean {control:.4g} lies within {critical:.2f} standard errors of zero, so the lift "
            "relative to it has no bounded interval. Read the absolute difference.",
        )
    centre = control * treatment / leading
    # control²·treatment_se² + treatment²·control_se² − critical²·control_se²·treatment_se², without
    # cancellation
    spread = critical * math.sqrt(leading * treatment_se**2 + (treatment * control_se) ** 2) / leading
    sign = math.copysign(1.0, control)
    ends = sorted((sign * (centre - spread - 1.0), sign * (centre + spread - 1.0)))
    return RelativeLift((treatment - control) / abs(control), Interval(ends[0], ends[1]))
