"""Events as the lake holds them, and small lakes to read them from."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
from deltalake import write_deltalake

from controlplane.events.lake import LAKE_SCHEMA
from controlplane.evidence.population import MetricSpec, PopulationSpec

START = datetime(2026, 3, 2, tzinfo=UTC)
END = START + timedelta(days=14)
_numbers = count()

PURCHASE = MetricSpec("purchase", "proportion", "conversion", "any", name="purchase", title="Purchase")
REVENUE = MetricSpec("revenue", "mean", "value", "sum", name="revenue", value_field="value", unit="EUR")
CLICKS = MetricSpec("clicks", "mean", "click", "count")


def hours(number: float) -> datetime:
    """So many hours after the window starts."""
    return START + timedelta(hours=number)


def event(kind: str, user: str | None, at: float, **fields: Any) -> dict[str, Any]:
    """A row of the lake: an event of `kind` by `user`, `at` hours after the window starts."""
    moment = hours(at)
    return {
        "event_id": f"e{next(_numbers)}",
        "type": kind,
        "schema_version": 1,
        "environment": "production",
        "occurred_at": moment,
        "received_at": moment,
        "received_day": moment.date().isoformat(),
        "user_id": user,
        "source": "live",
        **fields,
    }


def exposure(user: str | None, arm: str | None, at: float, **fields: Any) -> dict[str, Any]:
    """An exposure to phase 1 of `checkout`, unless `fields` say otherwise."""
    assignment = {
        "experiment": fields.pop("experiment", "checkout"),
        "phase": fields.pop("phase", 1),
        "arm": arm,
        "arm_propensity": 0.5,
        "would_be": None,
    }
    return event(fields.pop("kind", "exposure"), user, at, assignments=[assignment], **fields)


def purchase(user: str | None, at: float, **fields: Any) -> dict[str, Any]:
    return event("conversion", user, at, name="purchase", **fields)


def revenue(user: str | None, at: float, value: float, **fields: Any) -> dict[str, Any]:
    return event("value", user, at, name="revenue", value=value, **fields)


def population(**changes: Any) -> PopulationSpec:
    """Users of phase 1 of `checkout` over the whole fortnight, with `changes`."""
    spec: dict[str, Any] = {
        "environment": "production",
        "experiment": "checkout",
        "phase": 1,
        "unit": "user",
        "since": START,
        "until": END,
    }
    return PopulationSpec(**{**spec, **changes})


def arrow(rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Rows as one table of the lake's schema."""
    return pa.Table.from_pylist(list(rows), schema=LAKE_SCHEMA)


def events_table(rows: Iterable[Mapping[str, Any]]) -> ibis.Table:
    """Rows in a DuckDB of their own."""
    connection = ibis.duckdb.connect()
    connection.raw_sql("SET TimeZone = 'UTC'")
    return connection.create_table("events", arrow(rows))


def write_lake(root: Path, rows: Iterable[Mapping[str, Any]]) -> str:
    """A lake on disk, partitioned as the mover writes it; returns its URL."""
    (root / "events").mkdir(parents=True, exist_ok=True)
    write_deltalake(str(root / "events"), arrow(rows), mode="append", partition_by=["received_day"])
    return f"file://{root}"
