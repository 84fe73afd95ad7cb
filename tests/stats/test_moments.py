"""Sufficient statistics: stable, and pooled only over disjoint units."""

from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.stats.moments import Cells, CoMoments, Counts, Moments, OverlappingUnits, Summary, pooled

finite = st.floats(min_value=-1e6, max_value=1e6, allow_nan=False)


def test_moments__large_offset__variance_is_exact() -> None:
    assert Moments.of([1e9 + 4, 1e9 + 7, 1e9 + 13, 1e9 + 16]).variance == 30.0


def test_moments__empty__zero_units() -> None:
    assert Moments.of([]) == Moments(0, 0.0, 0.0)


def test_moments__from_variance__keeps_sample_variance() -> None:
    assert Moments.from_variance(n=5, mean=2.0, variance=3.0).variance == 3.0


def test_is_constant__tenths__sees_through_rounding() -> None:
    assert Moments.of([0.1] * 1000).is_constant
    assert not Moments.of([0.1] * 999 + [0.1000001]).is_constant


@given(st.lists(finite, min_size=0, max_size=30), st.lists(finite, min_size=0, max_size=30))
def test_pooled_with__two_halves__equals_whole(left: list[float], right: list[float]) -> None:
    merged = Moments.of(left).pooled_with(Moments.of(right))
    whole = Moments.of(left + right)
    assert merged.n == whole.n
    assert merged.mean == pytest.approx(whole.mean, rel=1e-9, abs=1e-9)
    assert merged.m2 == pytest.approx(whole.m2, rel=1e-9, abs=1e-6)


@given(st.lists(st.tuples(finite, finite), min_size=1, max_size=30), st.integers(0, 30))
def test_co_moments__two_halves__equal_whole(pairs: list[tuple[float, float]], cut: int) -> None:
    data = np.array(pairs)
    halves = data[:cut], data[cut:]
    merged = CoMoments.of(halves[0][:, 0], halves[0][:, 1]).pooled_with(
        CoMoments.of(halves[1][:, 0], halves[1][:, 1])
    )
    whole = CoMoments.of(data[:, 0], data[:, 1])
    assert merged.n == whole.n
    assert merged.cross == pytest.approx(whole.cross, rel=1e-9, abs=1e-3)
    assert merged.numerator_m2 == pytest.approx(whole.numerator_m2, rel=1e-9, abs=1e-3)
    assert merged.denominator_m2 == pytest.approx(whole.denominator_m2, rel=1e-9, abs=1e-3)


def test_counts__moments__equal_those_of_zeros_and_ones() -> None:
    assert astuple(Counts(5, 2).moments()) == pytest.approx(astuple(Moments.of([1, 1, 0, 0, 0])))


def test_co_moments__different_shapes__refused() -> None:
    with pytest.raises(ValueError, match="differ in shape"):
        CoMoments.of([1.0, 2.0], [1.0])


def test_summary__disjoint_shards__pooled_equals_whole() -> None:
    shards = [Summary(Cells.one("shard/3", str(i)), Moments.of([float(i), i + 2.0])) for i in range(3)]
    total = pooled(shards)
    assert total.cells == Cells("shard/3", frozenset({"0", "1", "2"}))
    assert astuple(total.statistics) == pytest.approx(astuple(Moments.of([0.0, 2.0, 1.0, 3.0, 2.0, 4.0])))


def test_summary__same_shard_twice__refused() -> None:
    shard = Summary(Cells.one("shard/2", "0"), Counts(10, 1))
    with pytest.raises(OverlappingUnits, match="counted twice: 0"):
        shard + shard


def test_summary__two_partitions__refused() -> None:
    with pytest.raises(OverlappingUnits, match="different partitions"):
        Summary(Cells.one("country", "de"), Counts(10, 1)) + Summary(Cells.one("device", "tv"), Counts(9, 1))


def test_moments__plus__has_no_meaning_without_units() -> None:
    assert not hasattr(Moments, "__add__")
    assert not hasattr(Counts, "__add__")
    assert not hasattr(CoMoments, "__add__")


def test_pooled__nothing__refused() -> None:
    with pytest.raises(ValueError, match="nothing to pool"):
        pooled([])
