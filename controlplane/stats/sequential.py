"""Always-valid reading: asymptotic confidence sequences on the difference between two arms.

Source: Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas, "Time-uniform central limit theory and asymptotic
confidence sequences" (2024), eq. 9, tuned by the exact minimiser of the width at the planned total sample.
The planned total must be fixed before the data are seen; reading outcomes first and then choosing it voids
the guarantee.
"""

import math
from dataclasses import dataclass

from controlplane.stats.answers import Interval, Undefined, invalid_alpha
from controlplane.stats.distributions import lambert_w_minus_one
from controlplane.stats.lift import RelativeLift, fieller

DEFAULT_HORIZON = 10_000
"""Planned total sample over both arms when none was declared; a wrong guess by 10 times costs under 10 % of
width.
"""


@dataclass(frozen=True, slots=True)
class AlwaysValid:
    """What may be read at any time: interval of the difference, of the relative lift, and the anytime
    p-value.
    """

    interval: Interval
    relative: RelativeLift | Undefined
    p_value: float
    horizon: int


def boundary(n: int, *, alpha: float, horizon: int) -> float:
    """How many standard errors the always-valid interval spans on each side after `n` units in both arms
    together.
    """
    x = n * _tuning(alpha, horizon)
    return math.sqrt((x + 1) / x * (math.log1p(x) - 2 * math.log(alpha)))


def anytime_p_value(z: float, n: int, *, alpha: float, horizon: int) -> float:
    """The smallest level at which the sequence tuned for `alpha` would exclude zero; valid at any stopping
    time.
    """
    x = n * _tuning(alpha, horizon)
    return min(1.0, math.exp(0.5 * math.log1p(x) - 0.5 * z * z * x / (x + 1)))


def always_valid(
    *,
    control: float,
    treatment: float,
    control_se: float,
    treatment_se: float,
    n: int,
    alpha: float,
    horizon: int = DEFAULT_HORIZON,
) -> AlwaysValid | Undefined:
    """The difference treatment − control as it may be read at any look.

    `n` counts the units of both arms. Both intervals use one boundary, so they exclude zero together.
    """
    if wrong := invalid_alpha(alpha):
        return wrong
    if horizon < 2 or n < 2:
        return Undefined(
            "invalid_input", "An always-valid interval needs two units and a planned total of at least two."
        )
    standard_error = math.hypot(control_se, treatment_se)
    if standard_error == 0.0:
        return Undefined("zero_variance", "All values are equal, so no uncertainty can be estimated.")
    width = boundary(n, alpha=alpha, horizon=horizon)
    difference = treatment - control
    return AlwaysValid(
        interval=Interval(difference - width * standard_error, difference + width * standard_error),
        relative=fieller(
            control=control,
            treatment=treatment,
            control_se=control_se,
            treatment_se=treatment_se,
            critical=width,
        ),
        p_value=anytime_p_value(difference / standard_error, n, alpha=alpha, horizon=horizon),
        horizon=horizon,
    )


def _tuning(alpha: float, horizon: int) -> float:
    """rho squared: x = n·rho² minimises (x + 1)/x · (log(x + 1) − 2 log alpha) at n = horizon."""
    return (-lambert_w_minus_one(-alpha * alpha / math.e) - 1.0) / horizon
