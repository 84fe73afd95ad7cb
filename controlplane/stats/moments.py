"""Sufficient statistics of units: moments, co-moments, counts, and the pooling of disjoint sets of units.

Moments are centred (n, mean, sum of squared deviations), never raw sums of squares: the variance of
1e9 + {4, 7, 13, 16} is 30, and raw sums in float64 give −170.67. Source of the merge: Chan, Golub, LeVeque
1979, eq. 2.1.
"""

import math
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, Protocol, Self, TypeVar

import numpy as np
import numpy.typing as npt


class OverlappingUnits(ValueError):
    """Two summaries that may hold the same unit twice were added."""


@dataclass(frozen=True, slots=True)
class Moments:
    """n values: their mean and `m2`, the sum of squared deviations from it. One value per randomised unit.

    There is no `+`: two of these say nothing about which units they hold. Pool through `Summary`.

    >>> Moments.of([1.0, 2.0, 3.0, 6.0])
    Moments(n=4, mean=3.0, m2=14.0)
    """

    n: int
    mean: float
    m2: float

    @classmethod
    def of(cls, values: npt.ArrayLike) -> Self:
        """Two-pass moments of raw values."""
        array = np.asarray(values, dtype=np.float64)
        if array.size == 0:
            return cls(0, 0.0, 0.0)
        mean = float(array.mean())
        return cls(int(array.size), mean, float(((array - mean) ** 2).sum()))

    @classmethod
    def from_variance(cls, *, n: int, mean: float, variance: float) -> Self:
        """From a published sample variance (divisor n − 1)."""
        return cls(n, mean, variance * max(n - 1, 0))

    @property
    def variance(self) -> float:
        """Sample variance, divisor n − 1; only meaningful for n ≥ 2."""
        return self.m2 / (self.n - 1) if self.n > 1 else math.nan

    @property
    def is_constant(self) -> bool:
        """Whether the spread is nothing but rounding of equal values."""
        return self.m2 <= self.n * (4.0 * sys.float_info.epsilon * self.mean) ** 2

    def pooled_with(self, other: Self) -> Self:
        """Moments of both sets of values together; the caller vouches that no unit is in both."""
        n = self.n + other.n
        if n == 0:
            return self
        shift = other.mean - self.mean
        return type(self)(
            n,
            self.mean + shift * (other.n / n),
            self.m2 + other.m2 + shift * shift * (self.n * other.n / n),
        )


@dataclass(frozen=True, slots=True)
class CoMoments:
    """Pairs (numerator, denominator) per unit: means, sums of squared deviations, sum of products of
    deviations.
    """

    n: int
    numerator: float
    denominator: float
    numerator_m2: float
    denominator_m2: float
    cross: float

    @classmethod
    def of(cls, numerator: npt.ArrayLike, denominator: npt.ArrayLike) -> Self:
        """Two-pass co-moments of paired raw values."""
        y, x = np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64)
        if y.shape != x.shape:
            raise ValueError(f"numerator and denominator differ in shape: {y.shape} and {x.shape}.")
        if y.size == 0:
            return cls(0, 0.0, 0.0, 0.0, 0.0, 0.0)
        dy, dx = y - y.mean(), x - x.mean()
        return cls(
            int(y.size),
            float(y.mean()),
            float(x.mean()),
            float((dy * dy).sum()),
            float((dx * dx).sum()),
            float((dy * dx).sum()),
        )

    def pooled_with(self, other: Self) -> Self:
        """Co-moments of both sets of pairs together; the caller vouches that no unit is in both."""
        n = self.n + other.n
        if n == 0:
            return self
        dy, dx = other.numerator - self.numerator, other.denominator - self.denominator
        weight = self.n * other.n / n
        return type(self)(
            n,
            self.numerator + dy * (other.n / n),
            self.denominator + dx * (other.n / n),
            self.numerator_m2 + other.numerator_m2 + dy * dy * weight,
            self.denominator_m2 + other.denominator_m2 + dx * dx * weight,
            self.cross + other.cross + dy * dx * weight,
        )


@dataclass(frozen=True, slots=True)
class Counts:
    """Units and how many of them converted; exact integers."""

    n: int
    successes: int

    @property
    def rate(self) -> float:
        return self.successes / self.n if self.n else math.nan

    def moments(self) -> Moments:
        """The same as moments of zeros and ones."""
        if self.n == 0:
            return Moments(0, 0.0, 0.0)
        return Moments(self.n, self.rate, self.successes * (self.n - self.successes) / self.n)

    def pooled_with(self, other: Self) -> Self:
        """Counts of both sets of units together; the caller vouches that no unit is in both."""
        return type(self)(self.n + other.n, self.successes + other.successes)


class Poolable(Protocol):
    """Statistics of disjoint sets of units that determine the statistics of their union."""

    def pooled_with(self, other: Self) -> Self: ...


S = TypeVar("S", bound=Poolable)


@dataclass(frozen=True, slots=True)
class Cells:
    """Which units a summary holds: some cells of one named partition of all units (`shard/16`: {`3`})."""

    partition: str
    names: frozenset[str]

    @classmethod
    def one(cls, partition: str, name: str) -> Self:
        return cls(partition, frozenset({name}))

    def joined_with(self, other: Self) -> Self:
        """Both together; raises OverlappingUnits unless they are cells of one partition and none is in
        both.
        """
        if self.partition != other.partition:
            raise OverlappingUnits(
                f"{self.partition!r} and {other.partition!r} are different partitions: a unit may be in both."
            )
        if shared := self.names & other.names:
            raise OverlappingUnits(f"counted twice: {', '.join(sorted(shared))} of {self.partition!r}.")
        return type(self)(self.partition, self.names | other.names)


@dataclass(frozen=True, slots=True)
class Summary(Generic[S]):
    """Statistics of a known set of units. `+` pools disjoint units and refuses anything else.

    Days are no partition of units, because units return; that is why a figure of a day is not a Summary.
    """

    cells: Cells
    statistics: S

    def __add__(self, other: "Summary[S]") -> "Summary[S]":
        return Summary(self.cells.joined_with(other.cells), self.statistics.pooled_with(other.statistics))


def pooled(summaries: Iterable[Summary[S]]) -> Summary[S]:
    """All summaries as one; raises ValueError on none, OverlappingUnits where a unit might be counted
    twice.
    """
    iterator = iter(summaries)
    try:
        total = next(iterator)
    except StopIteration:
        raise ValueError("nothing to pool.") from None
    for summary in iterator:
        total = total + summary
    return total
