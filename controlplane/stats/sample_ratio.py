"""Sample ratio mismatch: were units split as planned?"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from controlplane.stats.answers import Undefined
from controlplane.stats.distributions import binomial_two_sided, chi_square_tail, log_multinomial

ALARM = 0.001
LOOK = 0.01
EXACT_BELOW = 200

Level = Literal["alarm", "look", "clear"]


@dataclass(frozen=True, slots=True)
class SampleRatio:
    """Observed sizes against planned shares.

    `statistic` is chi-square and None for exact tests; `degrees_of_freedom` counts arms with a planned share,
    minus one. `level`: alarm below 0.001, look below 0.01. `verdict` says it in words.
    """

    method: Literal["chi_square", "exact_binomial", "exact_multinomial", "impossible_arm"]
    observed: tuple[int, ...]
    expected: tuple[float, ...]
    statistic: float | None
    degrees_of_freedom: int
    p_value: float

    @property
    def level(self) -> Level:
        if self.p_value < ALARM:
            return "alarm"
        return "look" if self.p_value < LOOK else "clear"

    @property
    def verdict(self) -> str:
        p = "p < 1e-300" if self.p_value == 0.0 else f"p = {self.p_value:.2g}"
        if self.method == "impossible_arm":
            return "Alarm: units stand in an arm that was planned to receive none. Do not read the results."
        if self.level == "alarm":
            return f"Alarm: the split differs from the plan ({p}, below {ALARM}). Do not read the results."
        if self.level == "look":
            return (
                f"Not flagged, look at it: the split is unusual ({p}, below {LOOK}, above the {ALARM} alarm)."
            )
        return f"The split agrees with the plan ({p})."


def srm(observed: Sequence[int], weights: Sequence[float]) -> SampleRatio | Undefined:
    """Could these arm sizes have come from these planned weights?

    Chi-square; exact below 200 units (binomial for two arms, multinomial for three). Weights need not sum to
    one.

    >>> round(srm([44_700, 45_489], [1, 1]).p_value, 4)
    0.0086
    """
    if wrong := _invalid(observed, weights):
        return wrong
    total, share = sum(observed), math.fsum(weights)
    expected = tuple(total * w / share for w in weights)
    planned = [(o, e) for o, e in zip(observed, expected, strict=True) if e > 0]
    df = len(planned) - 1
    if sum(o for o, _ in planned) != total:
        return SampleRatio("impossible_arm", tuple(observed), expected, None, df, 0.0)
    chi_square = math.fsum((o - e) ** 2 / e for o, e in planned)
    if total >= EXACT_BELOW or (df > 2 and min(e for _, e in planned) >= 5):
        return SampleRatio(
            "chi_square", tuple(observed), expected, chi_square, df, chi_square_tail(chi_square, df)
        )
    counts, shares = tuple(o for o, _ in planned), tuple(e / total for _, e in planned)
    if df == 1:
        p_value = binomial_two_sided(counts[0], total, shares[0])
        return SampleRatio("exact_binomial", tuple(observed), expected, None, df, p_value)
    if df == 2:
        p_value = _multinomial(counts, shares)
        return SampleRatio("exact_multinomial", tuple(observed), expected, None, df, p_value)
    return Undefined("small_counts", f"{total} units are too few to judge the split over {df + 1} arms.")


def _invalid(observed: Sequence[int], weights: Sequence[float]) -> Undefined | None:
    if len(observed) != len(weights):
        return Undefined("invalid_input", f"{len(observed)} sizes but {len(weights)} weights.")
    if any(o < 0 for o in observed):
        return Undefined("invalid_input", "An arm has a negative number of units.")
    if not all(math.isfinite(w) and w >= 0 for w in weights):
        return Undefined("invalid_input", "Weights must be finite and not negative.")
    if sum(w > 0 for w in weights) < 2:
        return Undefined(
            "single_arm", "Fewer than two arms have a planned share; there is no split to judge."
        )
    if sum(observed) == 0:
        return Undefined("no_units", "No unit has been exposed yet.")
    return None


def _multinomial(counts: tuple[int, ...], shares: tuple[float, ...]) -> float:
    """Exact p over all splits of the total: the probability of every outcome no more likely than the one
    seen.
    """
    total = sum(counts)
    bound = log_multinomial(counts, shares) + 1e-9
    outcomes = (
        (a, b, total - a - b) for a, b in itertools.product(range(total + 1), repeat=2) if a + b <= total
    )
    logs = (log_multinomial(outcome, shares) for outcome in outcomes)
    return min(1.0, math.fsum(math.exp(value) for value in logs if value <= bound))
