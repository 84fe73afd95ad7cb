"""Statistics from their definitions, for the verification: written apart from the product's own, and checked against it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

from scipy import special


@dataclass(frozen=True, slots=True)
class Arm:
    """Units, mean and variance of the mean."""

    n: int
    mean: float
    variance_of_mean: float


def fieller(control: Arm, treatment: Arm, critical: float) -> dict[str, float] | None:
    """Roots of (t − r·c)² = critical²·(vt + r²·vc), less one; None when they enclose no interval."""
    square = critical * critical
    a = control.mean**2 - square * control.variance_of_mean
    if a <= 0:
        return None
    b = control.mean * treatment.mean
    c = treatment.mean**2 - square * treatment.variance_of_mean
    root = math.sqrt(b * b - a * c)
    return {"low": (b - root) / a - 1.0, "high": (b + root) / a - 1.0}


def spread_around(centre: float, width: float) -> dict[str, float]:
    """A symmetric interval."""
    return {"low": centre - width, "high": centre + width}


def tuned(n: int, *, alpha: float, horizon: int) -> float:
    """The scaled sample size of a confidence sequence that is narrowest at ``horizon``.

    Its width is least where log(1 + x) − 2 log(alpha) = x, found by bisection.
    """
    low, high = 1e-6, 1e4
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if math.log1p(middle) - 2.0 * math.log(alpha) > middle else (low, middle)
    return n * low / horizon


def always_valid(difference: float, error: float, x: float, *, alpha: float) -> tuple[float, float]:
    """Standard errors on each side of an asymptotic confidence sequence, and the p-value valid at any time."""
    width = math.sqrt((x + 1.0) / x * (math.log1p(x) - 2.0 * math.log(alpha)))
    z = difference / error
    return width, min(1.0, math.sqrt(1.0 + x) * math.exp(-0.5 * z * z * x / (x + 1.0)))


def compared(
    control: Arm, treatment: Arm, written: Mapping[str, Any], *, conversions: tuple[int, int] | None
) -> dict[str, Any]:
    """Every figure of a comparison. ``conversions`` of both arms, None for means; level and horizon as written."""
    alpha = float(written["alpha"])
    difference = treatment.mean - control.mean
    error = math.sqrt(control.variance_of_mean + treatment.variance_of_mean)
    if conversions is not None:
        pooled = sum(conversions) / (control.n + treatment.n)
        statistic = difference / math.sqrt(pooled * (1 - pooled) * (1 / control.n + 1 / treatment.n))
        freedom = None
        critical = NormalDist().inv_cdf(1 - alpha / 2)
        p_value = math.erfc(abs(statistic) / math.sqrt(2))
    else:
        statistic = difference / error
        vc, vt = control.variance_of_mean, treatment.variance_of_mean
        freedom = (vc + vt) ** 2 / (vc**2 / (control.n - 1) + vt**2 / (treatment.n - 1))
        critical = float(special.stdtrit(freedom, 1 - alpha / 2))
        p_value = float(2 * special.stdtr(freedom, -abs(statistic)))
    horizon = int(written["always_valid"]["horizon"])
    x = tuned(control.n + treatment.n, alpha=alpha, horizon=horizon)
    width, anytime = always_valid(difference, error, x, alpha=alpha)
    estimate = treatment.mean / control.mean - 1.0
    return {
        "method": "two_proportions" if conversions is not None else "welch",
        "n_control": control.n,
        "n_treatment": treatment.n,
        "control": control.mean,
        "treatment": treatment.mean,
        "difference": difference,
        "standard_error": error,
        "statistic": statistic,
        "degrees_of_freedom": freedom,
        "p_value": p_value,
        "alpha": alpha,
        "interval": spread_around(difference, critical * error),
        "relative": {"estimate": estimate, "interval": fieller(control, treatment, critical)},
        "always_valid": {
            "interval": spread_around(difference, width * error),
            "relative": {"estimate": estimate, "interval": fieller(control, treatment, width)},
            "p_value": anytime,
            "horizon": horizon,
        },
    }
