"""From a unit table to sufficient statistics per arm, in one pass."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ibis
from ibis import _

from controlplane.evidence.population import MetricSpec
from controlplane.stats.moments import Cells, Counts, Moments, Summary, pooled


@dataclass(frozen=True, slots=True)
class ArmSummary:
    """One arm (of one stratum, when the population has strata): its units and, by metric key, their
    statistics.
    """

    arm: str
    stratum: str
    units: int
    proportions: Mapping[str, Summary[Counts]]
    means: Mapping[str, Summary[Moments]]


@dataclass(frozen=True, slots=True)
class Summaries:
    """All arms of a population, and how many units were excluded because they were seen in more than one
    arm.
    """

    arms: tuple[ArmSummary, ...]
    multiple_exposure: int

    def names(self) -> tuple[str, ...]:
        """The arms seen, sorted."""
        return tuple(sorted({a.arm for a in self.arms}))

    def strata(self) -> tuple[str, ...]:
        return tuple(sorted({a.stratum for a in self.arms}))

    def units(self, arm: str) -> int:
        return sum(a.units for a in self.arms if a.arm == arm)

    def statistics(self, arm: str, metric: MetricSpec, *, stratum: str | None = None) -> Counts | Moments:
        """The metric in one arm, over one stratum or all of them pooled; an arm never seen has zero units."""
        found = [a for a in self.arms if a.arm == arm and stratum in {None, a.stratum}]
        if metric.kind == "proportion":
            counts = [a.proportions[metric.key] for a in found]
            return pooled(counts).statistics if counts else Counts(0, 0)
        moments = [a.means[metric.key] for a in found]
        return pooled(moments).statistics if moments else Moments(0, 0.0, 0.0)


def summarise(units: ibis.Table, metrics: Sequence[MetricSpec]) -> Summaries:
    """Sufficient statistics of every arm and stratum of a unit table; runs one query."""
    return read_summaries(summary_query(units, metrics).to_pyarrow().to_pylist(), metrics)


def summary_query(units: ibis.Table, metrics: Sequence[MetricSpec]) -> ibis.Table:
    """One row per arm (and stratum, and whether crossed): `n`, then `sum<i>` of proportions, `mean<i>`,
    `var<i>` of means.

    `var` has divisor n and is computed by the engine's centred one-pass algorithm, never from sums of
    squares.
    """
    columns: dict[str, Any] = {"n": _.count()}
    for i, metric in enumerate(metrics):
        value = units[f"m{i}"]
        if metric.kind == "proportion":
            columns[f"sum{i}"] = value.sum()
        else:
            columns[f"mean{i}"] = value.mean()
            columns[f"var{i}"] = value.var(how="pop")
    by = [name for name in ("crossed", "arm", "stratum") if name in units.columns]
    return units.group_by(by).aggregate(**columns).order_by(by)


def read_summaries(rows: Sequence[Mapping[str, Any]], metrics: Sequence[MetricSpec]) -> Summaries:
    """What `summary_query` returned, as statistics of named cells, so that only disjoint units can be
    pooled.
    """
    arms = []
    for row in rows:
        if row["crossed"]:
            continue
        arm, stratum, n = str(row["arm"]), str(row.get("stratum") or ""), int(row["n"])
        cell = Cells.one("arm and stratum", f"{arm} / {stratum}")
        proportions = {
            metric.key: Summary(cell, Counts(n, int(row[f"sum{i}"])))
            for i, metric in enumerate(metrics)
            if metric.kind == "proportion"
        }
        means = {
            metric.key: Summary(cell, Moments(n, float(row[f"mean{i}"]), float(row[f"var{i}"]) * n))
            for i, metric in enumerate(metrics)
            if metric.kind == "mean"
        }
        arms.append(ArmSummary(arm, stratum, n, proportions, means))
    return Summaries(tuple(arms), sum(int(row["n"]) for row in rows if row["crossed"]))
