"""Cookie Cats: a mobile game's test of its first gate at level 30 against level 40.

Layout: `cookie_cats.csv` (userid, test_version, sum_gamerounds, retention_1, retention_7). The file has no times, so every
player is given the same nominal day of installing; nothing is computed from it but the order of events.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from controlplane.core.errors import InvalidInput
from experiments.importing.files import flag, number, rows
from experiments.importing.parts import Import

KEY: Final = "cookie-cats"
ARMS: Final = ("gate_30", "gate_40")
COLUMNS: Final = ("userid", "test_version", "sum_gamerounds", "retention_1", "retention_7")
INSTALLED: Final = datetime(2016, 1, 1, tzinfo=UTC)
DAYS: Final = {"retention_1": 1, "retention_7": 7}
UNIT_NOTE: Final = (
    "The published file has no times: every player is given the same nominal day of installing."
)


def run(directory: Path, job: Import) -> None:
    """Take in the players and analyse retention and rounds."""
    for name, days in DAYS.items():
        definition = {"kind": "proportion", "event_type": "conversion", "name": name, "aggregation": "any"}
        job.metric(
            f"{KEY}-{name.replace('_', '-')}",
            title=f"Retention, day {days}",
            content={**definition, "unit": "share of players"},
        )
    job.metric(
        f"{KEY}-rounds",
        title="Rounds in 14 days",
        content={
            "kind": "mean", "event_type": "value", "name": "game_rounds", "aggregation": "sum", "value_field": "value",
            "unit": "rounds per player",
        },
    )  # fmt: skip
    job.events(events(directory))
    experiment = job.experiment(
        KEY,
        title="Cookie Cats: first gate at level 30 or 40",
        content=content(),
        started_at=INSTALLED,
        ended_at=INSTALLED + timedelta(days=14),
        unit_note=UNIT_NOTE,
    )
    result = job.analyse(experiment)
    for metric in result["metrics"]:
        values = ", ".join(f"{arm['arm']} {arm['value']:.4f}" for arm in metric["arms"])
        job.said.append(f"  {metric['metric']['title']}: {values}")
    ratio = result["sample_ratio"]
    job.said.append(
        f"  sample ratio: chi-square {ratio['statistic']:.2f}, p = {ratio['p_value']:.4f}; {ratio['verdict']}"
    )


def content() -> dict[str, Any]:
    """The experiment's content."""
    retention = [f"{KEY}-{name.replace('_', '-')}" for name in DAYS]
    return {
        "hypothesis": "A gate ten levels later keeps more players.",
        "arms": [
            {"key": "gate_30", "title": "Gate at level 30", "weight": 5_000},
            {"key": "gate_40", "title": "Gate at level 40", "weight": 5_000},
        ],
        "primary_metric": retention[1],
        "metrics": [*retention, f"{KEY}-rounds"],
    }


def events(directory: Path) -> Iterator[dict[str, Any]]:
    """Per player an exposure, the rounds played, and a return on day 1 and day 7 where there was one."""
    path = directory / "cookie_cats.csv"
    for line, row in rows(path, COLUMNS):
        if row["test_version"] not in ARMS:
            raise InvalidInput(
                f"{path}, line {line}: test_version is {row['test_version']!r}, neither of {', '.join(ARMS)}."
            )
        player = row["userid"]
        common: dict[str, Any] = {"unit_ids": {"user": f"{KEY}:{player}"}}
        yield {
            **common,
            "event_id": f"{KEY}:{player}:exposure",
            "type": "exposure",
            "surface": KEY,
            "occurred_at": INSTALLED.isoformat(),
            "assignments": [{"experiment": KEY, "phase": 1, "arm": row["test_version"]}],
        }
        yield {
            **common,
            "event_id": f"{KEY}:{player}:rounds",
            "type": "value",
            "name": "game_rounds",
            "occurred_at": INSTALLED.isoformat(),
            "value": number(path, line, "sum_gamerounds", row["sum_gamerounds"]),
        }
        for name, days in DAYS.items():
            if flag(path, line, name, row[name]):
                yield {
                    **common,
                    "event_id": f"{KEY}:{player}:{name}",
                    "type": "conversion",
                    "name": name,
                    "occurred_at": (INSTALLED + timedelta(days=days)).isoformat(),
                }
