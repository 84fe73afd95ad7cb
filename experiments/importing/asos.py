"""ASOS Digital Experiments Dataset: sufficient statistics of real experiments at checkpoints over time.

Layout: one CSV; a row gives count, mean and variance of control (`_c`) and of one treatment (`_t`) for an experiment, a
variant, a metric and the days since the start. A variant's own control column belongs to that variant's comparison.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from controlplane.core.errors import InvalidInput
from controlplane.evidence.services import SummaryRow, import_summaries
from experiments.importing.files import number, rows
from experiments.importing.parts import Import

KEY: Final = "asos"
FILE: Final = "asos_digital_experiments_dataset.csv"
COLUMNS: Final = (
    "experiment_id", "variant_id", "metric_id", "time_since_start", "count_c", "count_t", "mean_c", "mean_t",
    "variance_c", "variance_t",
)  # fmt: skip
# The set names neither days nor metrics; the start is nominal and the metrics go by their published numbers.
STARTED: Final = datetime(2019, 1, 1, tzinfo=UTC)
UNIT_NOTE: Final = "Published as statistics over time, without units: the start is nominal and group sizes are the publisher's."


def run(directory: Path, job: Import) -> None:
    """Take in every experiment's statistics; a comparison of one variant with its control is one experiment here."""
    comparisons = read(directory)
    metrics = sorted({row.metric for given in comparisons.values() for row in given})
    for metric in metrics:
        job.metric(
            metric,
            title=f"ASOS metric {metric.rpartition('-')[2]}",
            content={
                "kind": "mean",
                "event_type": "value",
                "name": metric,
                "aggregation": "sum",
                "value_field": "value",
            },
        )
    taken: dict[str, int] = {}
    refused: list[str] = []
    for key, given in comparisons.items():
        experiment = job.experiment(
            key,
            title=f"ASOS experiment {key.removeprefix(f'{KEY}-')}",
            content=content(sorted({row.metric for row in given})),
            started_at=STARTED,
            ended_at=STARTED + timedelta(days=max(row.checkpoint for row in given)),
            sizes_fixed=True,
            unit_note=UNIT_NOTE,
        )
        report = import_summaries(
            subject=experiment.subject, source=KEY, rows=given, actor=job.actor, at=job.at
        )
        for what, count in report.counts.items():
            taken[what] = taken.get(what, 0) + count
        for line, error in report.errors:
            row = given[line]
            refused.append(f"  {key}: {row.metric} at {row.checkpoint:g}: {error.field} {error.message}")
    counts = ", ".join(f"{count:,} {what}" for what, count in sorted(taken.items()))
    job.said.append(f"experiments: {len(comparisons)} comparisons of a variant with its control")
    job.said.append(f"statistics: {counts}, {len(refused)} refused")
    job.said += refused[:5]


def content(metrics: list[str]) -> dict[str, Any]:
    """The content of one comparison."""
    return {
        "arms": [{"key": "control", "weight": 5_000}, {"key": "treatment", "weight": 5_000}],
        "primary_metric": metrics[0],
        "metrics": metrics,
    }


def read(directory: Path) -> dict[str, list[SummaryRow]]:
    """Statistics by comparison, keyed `asos-<experiment>-<variant>`, in the file's order."""
    found: dict[str, list[SummaryRow]] = {}
    path = directory / FILE
    for line, row in rows(path, COLUMNS):
        key = f"{KEY}-{row['experiment_id']}-{row['variant_id']}"
        found.setdefault(key, []).extend(_arms(path, line, row))
    return found


def _arms(path: Path, line: int, row: dict[str, str]) -> Iterator[SummaryRow]:
    checkpoint = number(path, line, "time_since_start", row["time_since_start"])
    for arm, suffix in (("control", "c"), ("treatment", "t")):
        count = number(path, line, f"count_{suffix}", row[f"count_{suffix}"])
        if count != int(count):
            raise InvalidInput(f"{path}, line {line}: count_{suffix} is {count}, not a whole number.")
        yield SummaryRow(
            metric=f"{KEY}-metric-{row['metric_id']}",
            arm=arm,
            checkpoint=checkpoint,
            n=int(count),
            mean=_given(path, line, f"mean_{suffix}", row[f"mean_{suffix}"]),
            variance=_given(path, line, f"variance_{suffix}", row[f"variance_{suffix}"]),
        )


def _given(path: Path, line: int, name: str, text: str) -> float:
    """The number; not-a-number where the publisher left the field empty, which the import then refuses by name."""
    return number(path, line, name, text) if text else math.nan
