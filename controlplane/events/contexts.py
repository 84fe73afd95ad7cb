"""What requests looked like lately: the contexts of fully logged decisions, for the attribute dictionary to learn from.

Loads the lake: run it through `manage.py lake_work learn`, never in a process that forks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import orjson

from controlplane.events import lake

MOST: Final = 2_000
"""Contexts of one environment in one go: enough to see every attribute that matters."""
_COLUMNS: Final = ("environment", "type", "received_at", "request")


@dataclass(slots=True)
class Seen:
    """The contexts of one environment, and when the newest of them was received."""

    until: datetime
    contexts: list[Mapping[str, Any]] = field(default_factory=list)


def recent(lake_url: str, *, after: Mapping[str, datetime], since: datetime) -> dict[str, Seen]:
    """By environment, the contexts received after the time known for it; for an unknown environment, after `since`."""
    table = lake.open_table(lake_url)
    found: dict[str, Seen] = {}
    if table is None:
        return found
    first_day = min([since, *after.values()]).date().isoformat()
    for day in lake.days(table):
        if day < first_day:
            continue
        for batch in lake.scan(table, _COLUMNS, day):
            for row in batch.to_pylist():
                if row["type"] == "decision" and row["request"]:
                    _take(row, found, after.get(row["environment"], since))
    return found


def _take(row: Mapping[str, Any], found: dict[str, Seen], after: datetime) -> None:
    if row["received_at"] <= after:
        return
    seen = found.setdefault(row["environment"], Seen(row["received_at"]))
    seen.until = max(seen.until, row["received_at"])
    context = orjson.loads(row["request"]).get("context")
    if isinstance(context, dict) and context and len(seen.contexts) < MOST:
        seen.contexts.append(context)
