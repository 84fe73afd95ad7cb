"""The answer to "how does this arm differ from control?", and what all comparisons share."""

import math
from dataclasses import dataclass
from typing import Literal

from controlplane.stats.answers import Interval, Undefined
from controlplane.stats.lift import RelativeLift, fieller
from controlplane.stats.sequential import AlwaysValid, always_valid

Method = Literal["welch", "two_proportions", "fisher_exact", "delta_ratio", "stratified"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two arms on one metric.

    `difference` is treatment − control in the metric's unit; `interval` and `p_value` are two-sided, at
    `alpha`, and valid for one look at the planned end. `always_valid` may be read at any time.
    """

    method: Method
    n_control: int
    n_treatment: int
    control: float
    treatment: float
    difference: float
    standard_error: float
    statistic: float | None
    degrees_of_freedom: float | None
    p_value: float
    alpha: float
    interval: Interval
    relative: RelativeLift | Undefined
    always_valid: AlwaysValid | Undefined


@dataclass(frozen=True, slots=True)
class Estimate:
    """One arm's estimate: units, value, standard error."""

    n: int
    value: float
    standard_error: float


def difference_of(
    control: Estimate,
    treatment: Estimate,
    *,
    method: Method,
    critical: float,
    p_value: float,
    statistic: float,
    degrees_of_freedom: float | None,
    alpha: float,
    horizon: int,
) -> Comparison:
    """Assemble the comparison of two independent estimates; intervals share one critical value, so they
    agree.
    """
    difference = treatment.value - control.value
    standard_error = math.hypot(control.standard_error, treatment.standard_error)
    return Comparison(
        method=method,
        n_control=control.n,
        n_treatment=treatment.n,
        control=control.value,
        treatment=treatment.value,
        difference=difference,
        standard_error=standard_error,
        statistic=statistic,
        degrees_of_freedom=degrees_of_freedom,
        p_value=p_value,
        alpha=alpha,
        interval=Interval(difference - critical * standard_error, difference + critical * standard_error),
        relative=fieller(
            control=control.value,
            treatment=treatment.value,
            control_se=control.standard_error,
            treatment_se=treatment.standard_error,
            critical=critical,
        ),
        always_valid=always_valid(
            control=control.value,
            treatment=treatment.value,
            control_se=control.standard_error,
            treatment_se=treatment.standard_error,
            n=control.n + treatment.n,
            alpha=alpha,
            horizon=horizon,
        ),
    )


def unusable_sizes(n_control: int, n_treatment: int) -> Undefined | None:
    """Why arms of these sizes cannot be compared, or None when each has two units or more."""
    for arm, n in (("control", n_control), ("treatment", n_treatment)):
        if n < 0:
            return Undefined("invalid_input", f"The {arm} arm has {n} units.")
        if n == 0:
            return Undefined("no_units", f"The {arm} arm has no units.")
        if n == 1:
            return Undefined("one_unit", f"The {arm} arm has one unit; its variance cannot be estimated.")
    return None
