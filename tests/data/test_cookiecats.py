"""Cookie Cats through the product equals the file."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import chisquare, ttest_ind
from statsmodels.stats.proportion import proportion_confint

from controlplane.evidence.selectors import latest_analysis
from experiments.importing import cookiecats
from experiments.importing.parts import Import
from experiments.models import Experiment

pytestmark = [pytest.mark.data, pytest.mark.timeout(900)]


def test_cookie_cats__imported_and_analysed__equals_the_published_file(
    place: Callable[[str], Path], job: Import
) -> None:
    folder = place("cookie-cats")
    with (folder / "cookie_cats.csv").open() as file:
        rows = list(csv.DictReader(file))
    arms = {arm: [row for row in rows if row["test_version"] == arm] for arm in cookiecats.ARMS}

    cookiecats.run(folder, job)
    analysis = latest_analysis(Experiment.subject_of("cookie-cats"), environment="production")
    assert analysis is not None
    result = analysis.result

    assert {arm["arm"]: arm["units"] for arm in result["arms"]} == {arm: len(arms[arm]) for arm in arms}
    assert result["units"] == 90_189
    metrics = {metric["metric"]["key"]: metric for metric in result["metrics"]}
    for name in cookiecats.DAYS:
        metric = metrics[f"cookie-cats-{name.replace('_', '-')}"]
        hits = {arm: sum(row[name] == "True" for row in arms[arm]) for arm in arms}
        rates = {arm: hits[arm] / len(arms[arm]) for arm in arms}
        comparison = metric["comparisons"][0]
        assert {arm["arm"]: arm["successes"] for arm in metric["arms"]} == hits
        assert comparison["control"] == pytest.approx(rates["gate_30"], rel=1e-12)
        assert comparison["treatment"] == pytest.approx(rates["gate_40"], rel=1e-12)
        error = np.sqrt(sum(rates[arm] * (1 - rates[arm]) / len(arms[arm]) for arm in arms))
        difference = rates["gate_40"] - rates["gate_30"]
        assert comparison["difference"] == pytest.approx(difference, rel=1e-9)
        assert comparison["interval"]["low"] == pytest.approx(
            difference - 1.959963984540054 * error, rel=1e-9
        )
        assert comparison["interval"]["high"] == pytest.approx(
            difference + 1.959963984540054 * error, rel=1e-9
        )
        low, high = proportion_confint(hits["gate_30"], len(arms["gate_30"]), method="normal")
        assert low < comparison["control"] < high
    seven = metrics["cookie-cats-retention-7"]["comparisons"][0]
    assert round(seven["control"], 4) == 0.1902
    assert round(seven["treatment"], 4) == 0.1820

    rounds = {arm: np.array([int(row["sum_gamerounds"]) for row in arms[arm]]) for arm in arms}
    comparison = metrics["cookie-cats-rounds"]["comparisons"][0]
    welch = ttest_ind(rounds["gate_40"], rounds["gate_30"], equal_var=False)
    assert comparison["p_value"] == pytest.approx(float(welch.pvalue), rel=1e-9)
    assert comparison["difference"] == pytest.approx(
        rounds["gate_40"].mean() - rounds["gate_30"].mean(), rel=1e-9
    )

    ratio = result["sample_ratio"]
    expected = chisquare([len(arms[arm]) for arm in arms])
    assert ratio["statistic"] == pytest.approx(float(expected.statistic), rel=1e-12)
    assert ratio["p_value"] == pytest.approx(float(expected.pvalue), rel=1e-12)
    assert round(ratio["statistic"], 2) == 6.90
    assert round(ratio["p_value"], 4) == 0.0086
    assert ratio["level"] == "look"
    assert ratio["verdict"].startswith("Not flagged, look at it")
