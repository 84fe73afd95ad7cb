"""ASOS comes in as published summaries; each comparison equals a direct Welch test of them."""

import csv
import math
from collections.abc import Callable
from pathlib import Path

import pytest
from scipy.stats import ttest_ind_from_stats

from controlplane.evidence.models import ImportedSummary
from controlplane.evidence.selectors import imported_comparisons
from controlplane.stats.comparison import Comparison
from experiments.importing import asos
from experiments.importing.parts import Import
from experiments.models import Experiment

pytestmark = [pytest.mark.data, pytest.mark.timeout(900)]


def test_asos__imported__every_published_statistic_is_there_or_named_as_refused(
    place: Callable[[str], Path], job: Import
) -> None:
    folder = place("asos")
    with (folder / asos.FILE).open() as file:
        rows = list(csv.DictReader(file))
    asos.run(folder, job)
    told = sum(bool(row[f"variance_{arm}"]) for row in rows for arm in "ct")
    assert ImportedSummary.objects.count() == told
    refused = 2 * len(rows) - told
    assert any(f"{told:,} created, {refused} refused" in line for line in job.said)
    comparisons = {(row["experiment_id"], row["variant_id"]) for row in rows}
    assert Experiment.objects.filter(key__startswith="asos-").count() == len(comparisons)

    chosen = rows[0]["experiment_id"], rows[0]["variant_id"]
    answers = {
        (point.metric, point.checkpoint): point.answer
        for point in imported_comparisons(
            Experiment.subject_of(f"asos-{chosen[0]}-{chosen[1]}"), control="control"
        )
    }
    for row in rows:
        if (row["experiment_id"], row["variant_id"]) != chosen:
            continue
        answer = answers[f"asos-metric-{row['metric_id']}", float(row["time_since_start"])]
        assert isinstance(answer, Comparison)
        welch = ttest_ind_from_stats(
            float(row["mean_t"]), math.sqrt(float(row["variance_t"])), float(row["count_t"]),
            float(row["mean_c"]), math.sqrt(float(row["variance_c"])), float(row["count_c"]),
            equal_var=False,
        )  # fmt: skip
        assert answer.difference == pytest.approx(
            float(row["mean_t"]) - float(row["mean_c"]), rel=1e-9, abs=1e-15
        )
        assert answer.p_value == pytest.approx(float(welch.pvalue), rel=1e-6)
