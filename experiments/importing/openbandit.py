"""Open Bandit Dataset: impressions of a fashion store under two logging policies, with true propensities and clicks.

Layout: `{random,bts}/{all,men,women}/<campaign>.csv` with `item_context.csv` beside. One row is one item shown at one of
three positions. Rows carry no visitor, so the unit is the row; each campaign numbers its items from 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from controlplane.core.errors import InvalidInput
from experiments.importing.files import flag, number, rows
from experiments.importing.parts import Import

KEY: Final = "open-bandit"
POLICIES: Final = ("random", "bts")
CAMPAIGNS: Final = ("all", "men", "women")
FILES: Final = tuple((policy, campaign) for policy in POLICIES for campaign in CAMPAIGNS)
COLUMNS: Final = ("", "timestamp", "item_id", "position", "click", "propensity_score")
UNIT_NOTE: Final = (
    "The unit is one row of the published log, not a visitor: "
    "rows may share a visitor, so intervals may be too narrow."
)
METRIC: Final = "open-bandit-click"


def run(directory: Path, job: Import) -> None:
    """Take in all six files and analyse random against bts, campaigns apart and pooled as strata."""
    for campaign in CAMPAIGNS:
        job.surface(surface(campaign), title=f"Open Bandit, campaign {campaign}", slots=3)
    job.metric(
        METRIC,
        title="Click",
        content={
            "kind": "proportion",
            "event_type": "click",
            "aggregation": "any",
            "unit": "share of impressions",
        },
    )
    job.items(items(directory))
    job.events(event for policy, campaign in FILES for event in events(directory, policy, campaign))
    first, last = span(directory)
    experiment = job.experiment(
        KEY,
        title="Open Bandit: random against Bernoulli Thompson sampling",
        content=content(),
        started_at=first,
        ended_at=last,
        sizes_fixed=True,
        unit_note=UNIT_NOTE,
    )
    result = job.analyse(experiment)
    for comparison in result["metrics"][0]["comparisons"]:
        for stratum in comparison["by_stratum"]:
            job.said.append(
                f"  {stratum['stratum']}: click rate random {stratum['control']:.5f}, bts {stratum['treatment']:.5f}, "
                f"difference {stratum['difference']:+.5f} "
                f"({stratum['interval']['low']:+.5f} to {stratum['interval']['high']:+.5f})"
            )


def content() -> dict[str, Any]:
    """The experiment's content."""
    return {
        "hypothesis": "Thompson sampling earns more clicks than showing items at random.",
        "surfaces": [surface(campaign) for campaign in CAMPAIGNS],
        "hash_attribute": "request",
        "arms": [
            {"key": "random", "title": "Uniform random", "weight": 5_000},
            {"key": "bts", "title": "Bernoulli Thompson sampling", "weight": 5_000},
        ],
        "primary_metric": METRIC,
        "metrics": [METRIC],
        "exposure_types": ["impression"],
        "stratify_by": "surface",
    }


def surface(campaign: str) -> str:
    """Key of a campaign's surface."""
    return f"{KEY}-{campaign}"


def path_of(directory: Path, policy: str, campaign: str) -> Path:
    """Where the publisher puts the log."""
    return directory / policy / campaign / f"{campaign}.csv"


def items(directory: Path) -> Iterator[dict[str, Any]]:
    """Each campaign's items as the catalogue takes them, keyed `campaign:item_id`."""
    for campaign in CAMPAIGNS:
        path = directory / "random" / campaign / "item_context.csv"
        for line, row in rows(path, ("item_id", "item_feature_0")):
            features = {name: value for name, value in row.items() if name.startswith("item_feature_")}
            price = number(path, line, "item_feature_0", features.pop("item_feature_0"))
            yield {
                "item_id": f"{campaign}:{row['item_id']}",
                "title": f"Item {row['item_id']} of campaign {campaign}",
                "provider": KEY,
                "attributes": {"campaign": campaign, "item_feature_0": price, **features},
            }


def events(directory: Path, policy: str, campaign: str) -> Iterator[dict[str, Any]]:
    """One impression per row, and a click where there was one."""
    path = path_of(directory, policy, campaign)
    for line, row in rows(path, COLUMNS):
        when = _moment(path, line, row["timestamp"])
        unit = f"{policy}:{campaign}:{row['']}"
        item = f"{campaign}:{row['item_id']}"
        position = int(number(path, line, "position", row["position"]))
        common = {"occurred_at": when, "surface": surface(campaign), "unit_ids": {"request": unit}}
        yield {
            **common,
            "event_id": f"{KEY}:{unit}:impression",
            "type": "impression",
            "assignments": [{"experiment": KEY, "phase": 1, "arm": policy}],
            "items": [
                {
                    "id": item,
                    "position": position,
                    "item_propensity": number(path, line, "propensity_score", row["propensity_score"]),
                    "is_visible": True,
                }
            ],
            "properties": _features(row),
        }
        if flag(path, line, "click", row["click"]):
            yield {
                **common,
                "event_id": f"{KEY}:{unit}:click",
                "type": "click",
                "item_id": item,
                "position": position,
            }


def _features(row: Mapping[str, str]) -> dict[str, Any]:
    """The user features, and of the affinities those that are not zero."""
    features: dict[str, Any] = {
        name: value for name, value in row.items() if name.startswith("user_feature_")
    }
    affinities = {
        name.removeprefix("user-item_affinity_"): value
        for name, text in row.items()
        if name.startswith("user-item_affinity_") and (value := float(text))
    }
    return {**features, "user_item_affinity": affinities} if affinities else features


def _moment(path: Path, line: int, text: str) -> str:
    try:
        return datetime.fromisoformat(text).astimezone(UTC).isoformat()
    except ValueError:
        raise InvalidInput(f"{path}, line {line}: timestamp is {text!r}, not a time.") from None


def span(directory: Path) -> tuple[datetime, datetime]:
    """Time of the first and of the last row of all files."""
    moments = [
        datetime.fromisoformat(_moment(path_of(directory, policy, campaign), line, row["timestamp"]))
        for policy, campaign in FILES
        for line, row in rows(path_of(directory, policy, campaign), COLUMNS)
    ]
    return min(moments), max(moments)
