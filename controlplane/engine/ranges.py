"""Ranges of buckets: how arms, layers and namespaces divide 10,000 buckets, and where a bucket falls.

Ranges are half open, [low, high), in integers of 1/10,000. Arms have fixed starts, so growing coverage only ever adds
buckets to an arm and takes none from another.
"""

from collections.abc import Sequence

from controlplane.engine.hashing import BUCKETS, gb_hash

Range = Sequence[int]


def arm_ranges(weights: Sequence[int], coverage: int = BUCKETS) -> list[list[list[int]]]:
    """For each arm its ranges, laid out as GrowthBook does: starts at the cumulative weight, width coverage x weight.

    Weights and coverage are integers in 1/10,000; weights sum to 10,000. Widths are rounded down, so an arm never
    reaches into the next. Raises ValueError naming what is wrong.

    >>> arm_ranges([5000, 5000], 2000)
    [[[0, 1000]], [[5000, 6000]]]
    """
    if not weights:
        raise ValueError("weights: at least one arm is needed")
    if any(not _whole(weight) for weight in weights):
        raise ValueError("weights: integers from 0 to 10000 are needed")
    if sum(weights) != BUCKETS:
        raise ValueError(f"weights: they sum to {sum(weights)}, and must sum to {BUCKETS}")
    if not _whole(coverage) or coverage > BUCKETS:
        raise ValueError(f"coverage: {coverage!r} is not an integer from 0 to {BUCKETS}")
    laid_out = []
    start = 0
    for weight in weights:
        laid_out.append([[start, start + weight * coverage // BUCKETS]])
        start += weight
    return laid_out


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def width(ranges: Sequence[Range]) -> int:
    """How many buckets the ranges hold."""
    return sum(max(0, high - low) for low, high in ranges)


def holds(ranges: Sequence[Range], bucket: int) -> bool:
    """Whether the bucket lies in one of the ranges."""
    return any(low <= bucket < high for low, high in ranges)


def equal_weights(count: int) -> list[float]:
    """GrowthBook's default weights: equal shares that sum to 1; none for a count of 0 or less."""
    return [1 / count] * count if count > 0 else []


def bucket_ranges(count: int, coverage: float, weights: Sequence[float] | None) -> list[tuple[float, float]]:
    """GrowthBook's ranges in [0, 1]: invalid weights (wrong number, or not summing to 1 within 0.01) become equal."""
    share = min(max(coverage, 0.0), 1.0)
    if weights is None or len(weights) != count or not 0.99 <= sum(weights) <= 1.01:
        weights = equal_weights(count)
    ranges = []
    start = 0.0
    for weight in weights:
        ranges.append((start, start + share * weight))
        start += weight
    return ranges


def choose_variation(point: float, ranges: Sequence[Sequence[float]]) -> int:
    """Index of the first range that holds the point; -1 when none does."""
    for index, (low, high) in enumerate(ranges):
        if low <= point < high:
            return index
    return -1


def in_namespace(value: str, namespace: Sequence[object]) -> bool:
    """Whether a unit lies in GrowthBook's namespace [name, low, high): hash version 1 under the seed "__name"."""
    if len(namespace) < 3:
        return False
    name, low, high = namespace[:3]
    if not isinstance(low, (int, float)) or not isinstance(high, (int, float)):
        return False
    point = gb_hash(f"__{name}", value, 1)
    return point is not None and low <= point < high
