"""Tails and quantiles, accurate far out: survival functions, never one minus a distribution function."""

import math

from scipy import special, stats


def two_sided_normal(z: float) -> float:
    """P(|Z| ≥ |z|) for a standard normal Z."""
    return float(2.0 * special.ndtr(-abs(z)))


def two_sided_t(t: float, degrees_of_freedom: float) -> float:
    """P(|T| ≥ |t|) for Student's t; degrees of freedom need not be whole."""
    return float(2.0 * special.stdtr(degrees_of_freedom, -abs(t)))


def normal_critical(alpha: float) -> float:
    """The z that a standard normal exceeds in absolute value with probability `alpha`."""
    return float(-special.ndtri(alpha / 2.0))


def t_critical(alpha: float, degrees_of_freedom: float) -> float:
    """The t that Student's t exceeds in absolute value with probability `alpha`."""
    return float(-special.stdtrit(degrees_of_freedom, alpha / 2.0))


def chi_square_tail(statistic: float, degrees_of_freedom: int) -> float:
    """P(X ≥ statistic) for chi-square."""
    return float(special.chdtrc(degrees_of_freedom, statistic))


def lambert_w_minus_one(x: float) -> float:
    """The lower real branch W₋₁ of the Lambert function, for −1/e ≤ x < 0."""
    return float(special.lambertw(x, k=-1).real)


def binomial_two_sided(successes: int, trials: int, probability: float) -> float:
    """Exact two-sided binomial p: all outcomes no more likely than the one seen (Fisher's ordering)."""
    return float(stats.binomtest(successes, trials, probability).pvalue)


def fisher_two_sided(a: int, b: int, c: int, d: int) -> float:
    """Exact two-sided p of the table [[a, b], [c, d]] given its margins (Fisher's ordering)."""
    return float(stats.fisher_exact([[a, b], [c, d]]).pvalue)


def log_multinomial(counts: tuple[int, ...], shares: tuple[float, ...]) -> float:
    """Natural log of the multinomial probability of `counts` under positive `shares`."""
    total = math.lgamma(sum(counts) + 1)
    return total + sum(c * math.log(p) - math.lgamma(c + 1) for c, p in zip(counts, shares, strict=True))
