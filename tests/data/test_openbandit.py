"""Open Bandit through the product equals the six published files."""

import csv
import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings

from controlplane.catalog.models import Item
from controlplane.events.lake import open_table
from controlplane.evidence.selectors import latest_analysis
from experiments.importing import openbandit
from experiments.importing.parts import Import
from experiments.models import Experiment

pytestmark = [pytest.mark.data, pytest.mark.timeout(900)]
Z = 1.959963984540054


def _published(folder: Path, policy: str, campaign: str) -> list[dict[str, str]]:
    with (folder / policy / campaign / f"{campaign}.csv").open() as file:
        return list(csv.DictReader(file))


def test_open_bandit__imported_and_analysed__equals_the_six_files(
    place: Callable[[str], Path], job: Import
) -> None:
    folder = place("openbandit")
    files = {pair: _published(folder, *pair) for pair in openbandit.FILES}
    assert len(files) == 6

    openbandit.run(folder, job)
    analysis = latest_analysis(Experiment.subject_of("open-bandit"), environment="production")
    assert analysis is not None
    result = analysis.result
    assert result["units"] == sum(len(rows) for rows in files.values()) == 60_000
    assert result["multiple_exposure"] == 0
    assert result["sample_ratio"]["undefined"]

    metric = result["metrics"][0]
    strata = {stratum["stratum"]: stratum for stratum in metric["comparisons"][0]["by_stratum"]}
    shares, means, errors = [], [], []
    for campaign in openbandit.CAMPAIGNS:
        clicks = {
            policy: [int(row["click"]) for row in files[policy, campaign]] for policy in openbandit.POLICIES
        }
        n = {policy: len(values) for policy, values in clicks.items()}
        rate = {policy: sum(values) / n[policy] for policy, values in clicks.items()}
        error = math.sqrt(sum(rate[policy] * (1 - rate[policy]) / n[policy] for policy in clicks))
        difference = rate["bts"] - rate["random"]
        stratum = strata[f"open-bandit-{campaign}"]
        assert stratum["control"] == pytest.approx(rate["random"], rel=1e-12)
        assert stratum["treatment"] == pytest.approx(rate["bts"], rel=1e-12)
        assert stratum["difference"] == pytest.approx(difference, abs=1e-15)
        assert stratum["interval"]["low"] == pytest.approx(difference - Z * error, rel=1e-9)
        assert stratum["interval"]["high"] == pytest.approx(difference + Z * error, rel=1e-9)
        shares.append(sum(n.values()))
        means.append(difference)
        errors.append(error)
    weights = [share / sum(shares) for share in shares]
    pooled = sum(weight * mean for weight, mean in zip(weights, means, strict=True))
    assert metric["comparisons"][0]["difference"] == pytest.approx(pooled, rel=1e-9)
    assert metric["comparisons"][0]["method"] == "stratified"

    _assert_logged_as_published(folder, files)


def _assert_logged_as_published(folder: Path, files: dict[tuple[str, str], list[dict[str, str]]]) -> None:
    """Items and propensities in catalogue and lake are those of the files."""
    with (folder / "random" / "men" / "item_context.csv").open() as file:
        expected = {f"men:{row['item_id']}" for row in csv.DictReader(file)}
    assert set(Item.objects.filter(item_id__startswith="men:").values_list("item_id", flat=True)) == expected

    table = open_table(settings.LAKE_URL)
    assert table is not None
    logged = table.to_pyarrow_table(columns=["type", "surface", "items"]).to_pylist()
    for campaign in openbandit.CAMPAIGNS:
        seen = Counter(
            (item["id"], item["position"], round(item["item_propensity"], 12))
            for row in logged
            if row["type"] == "impression" and row["surface"] == f"open-bandit-{campaign}"
            for item in row["items"]
        )
        published = Counter(
            (f"{campaign}:{row['item_id']}", int(row["position"]), round(float(row["propensity_score"]), 12))
            for policy in openbandit.POLICIES
            for row in files[policy, campaign]
        )
        assert seen == published
