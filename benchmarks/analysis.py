"""Analysis of one million users and ten metrics, from event files to verdict, against SQL written by hand.

`python -m benchmarks.analysis [--small]` runs this alone and prints seconds; `--small` takes 50,000 users.
The baseline is `analysis.sql`: the same exposure join, windows and variances, without definitions, checks or
statistics. Both start from the files of the same lake, and must agree on every mean and variance before
anything is timed.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

from benchmarks import Case
from benchmarks.__main__ import host, measure
from controlplane.events.lake import LAKE_SCHEMA
from controlplane.evidence.analysis import AnalysisResult, analyse
from controlplane.evidence.plan import AnalysisRequest, Plan
from controlplane.evidence.population import MetricSpec, PopulationSpec
from controlplane.evidence.reading import open_lake
from controlplane.stats.moments import Counts, Moments

USERS = 1_000_000
SMALL = 50_000
SEED = 20260302
DAYS = 14
START = np.datetime64("2026-03-02T00:00:00", "us")
SQL = Path(__file__).with_name("analysis.sql").read_text(encoding="utf-8")

METRICS = (
    MetricSpec("buys", "proportion", "conversion", "any", name="purchase"),
    MetricSpec("buys-in-3-days", "proportion", "conversion", "any", name="purchase", window_hours=72),
    MetricSpec("purchases", "mean", "conversion", "count", name="purchase"),
    MetricSpec("fills-cart", "proportion", "conversion", "any", name="add_to_cart"),
    MetricSpec("carts", "mean", "conversion", "count", name="add_to_cart"),
    MetricSpec("clicks-at-all", "proportion", "click", "any"),
    MetricSpec("clicks", "mean", "click", "count"),
    MetricSpec("revenue", "mean", "value", "sum", name="revenue", value_field="value"),
    MetricSpec("seconds", "mean", "value", "sum", name="seconds", value_field="value"),
    MetricSpec(
        "signs-up-in-week-1",
        "proportion",
        "conversion",
        "retention",
        name="signup",
        delay_hours=24,
        window_hours=168,
    ),
)
REQUEST = AnalysisRequest(
    subject="experiments.experiment:checkout",
    population=PopulationSpec(
        environment="production",
        experiment="checkout",
        phase=1,
        unit="user",
        since=datetime(2026, 3, 2, tzinfo=UTC),
        until=datetime(2026, 3, 16, tzinfo=UTC),
    ),
    metrics=METRICS,
    plan=Plan("control", {"control": 5000, "treatment": 5000}, "buys", horizon=1_000_000),
    series=False,
)

# One letter per sort of event the generator makes, with its type and name.
SORTS = (
    ("exposure", None),
    ("conversion", "purchase"),
    ("conversion", "add_to_cart"),
    ("click", None),
    ("conversion", "signup"),
    ("value", "revenue"),
    ("value", "seconds"),
)


@contextmanager
def cases(users: int = USERS) -> Iterator[Iterable[Case]]:
    """One case: users analysed per second."""
    with tempfile.TemporaryDirectory(prefix="bench-analysis-") as folder:
        events = write_events(Path(folder), users=users)
        agree(product(folder), baseline(folder))
        yield [
            Case(
                name=f"analysis of {users:,} users, {events:,} events, {len(METRICS)} metrics",
                unit="users/s",
                product=lambda: users / seconds(lambda: product(folder)),
                baseline=lambda: users / seconds(lambda: baseline(folder)),
                baseline_is="hand-written DuckDB SQL over the same files (analysis.sql)",
            )
        ]


def product(folder: str) -> AnalysisResult:
    """Open the lake and analyse it, as the product does."""
    opened = open_lake(f"file://{folder}", since=REQUEST.population.since)
    return analyse(opened.events, REQUEST, lake_version=opened.version)


def baseline(folder: str) -> list[tuple[object, ...]]:
    """Run the hand-written SQL over the files of the same lake."""
    files = DeltaTable(f"{folder}/events").file_uris()
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.read_parquet(files, hive_partitioning=True).create_view("events")
    rows: list[tuple[object, ...]] = connection.execute(SQL).fetchall()
    return rows


def agree(result: AnalysisResult, rows: list[tuple[object, ...]]) -> None:
    """Raises AssertionError unless both found the same units, means and variances."""
    for position, row in enumerate(rows):
        for i, metric in enumerate(result.metrics):
            arm, statistics = metric.arms[position]
            moments = statistics.moments() if isinstance(statistics, Counts) else statistics
            found = (arm, moments.n, moments.mean, moments.m2)
            mean, variance = float(str(row[2 + 2 * i])), float(str(row[3 + 2 * i]))
            expected = Moments(int(str(row[1])), mean, variance * moments.n)
            close = np.isclose(found[2:], (expected.mean, expected.m2), rtol=1e-9).all()
            if found[:2] != (row[0], expected.n) or not close:
                raise AssertionError(f"{metric.metric.key} in {arm}: {found} is not {expected}")


def write_events(folder: Path, *, users: int) -> int:
    """A seeded lake of about five events per user over a fortnight; returns how many events it holds."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.register("drawn", drawn_events(users))
    (folder / "events").mkdir()
    written = 0
    for day in range(DAYS):
        name = str((START + np.timedelta64(day, "D")).astype("datetime64[D]"))
        rows = connection.execute(LAKE_ROWS, [name]).to_arrow_table()
        typed = pa.table({f.name: _column(rows, f) for f in LAKE_SCHEMA}, schema=LAKE_SCHEMA)
        write_deltalake(str(folder / "events"), typed, mode="append", partition_by=["received_day"])
        written += len(typed)
    return written


LAKE_ROWS = """
SELECT 'e' || number AS event_id, sort.type AS type, 1 AS schema_version, 'production' AS environment,
    'home' AS surface, moment::TIMESTAMPTZ AS occurred_at, moment::TIMESTAMPTZ AS received_at,
    strftime(moment, '%Y-%m-%d') AS received_day, 'u' || owner AS user_id, 1 AS revision, sort.name AS name,
    amount AS value, 'demo' AS source,
    CASE WHEN sort.type = 'exposure' THEN [{'experiment': 'checkout', 'phase': 1::INT,
        'arm': if(treated, 'treatment', 'control'), 'arm_propensity': 0.5::DOUBLE, 'would_be': NULL::VARCHAR}]
    END AS assignments
FROM drawn
WHERE strftime(moment, '%Y-%m-%d') = ?
"""


def drawn_events(users: int) -> pa.Table:
    """Exposures, and outcomes at very different rates from user to user, some of them before the first
    exposure.
    """
    rng = np.random.default_rng(SEED)
    day = 86_400.0
    treated = rng.random(users) < 0.5
    first = rng.random(users) * DAYS * day * 0.8
    taste = rng.gamma(1.0, 1.0, users)
    everyone = np.arange(users)
    returns = np.repeat(everyone, rng.poisson(0.5, users))
    sorts, owners = [0, 0], [everyone, returns]
    moments = [first, first[returns] + rng.exponential(2 * day, len(returns))]
    for number, rate in enumerate((0.3, 0.6, 1.6, 0.15, 0.3, 0.7), start=1):
        owner = np.repeat(everyone, rng.poisson(rate * taste))
        sorts.append(number)
        owners.append(owner)
        moments.append(first[owner] + rng.exponential(2 * day, len(owner)) - 0.2 * day)
    sort = np.concatenate([np.full(len(o), s, dtype=np.int8) for s, o in zip(sorts, owners, strict=True)])
    owner, moment = np.concatenate(owners), np.concatenate(moments)
    amount = np.round(rng.lognormal(3.0, 1.0, len(owner)), 2)
    inside = (moment >= 0) & (moment < DAYS * day)
    order = np.flatnonzero(inside)[np.argsort(moment[inside])]
    kinds, owner = sort[order], owner[order]
    return pa.table(
        {
            "number": np.arange(len(order)),
            "sort": pa.array([{"type": t, "name": n} for t, n in SORTS]).take(pa.array(kinds)),
            "owner": owner,
            "moment": START + (moment[order] * 1e6).astype("timedelta64[us]"),
            "amount": pa.array(amount[order], mask=kinds < 5),
            "treated": treated[owner],
        }
    )


def _column(rows: pa.Table, field: pa.Field) -> pa.Array:
    return (
        rows[field.name].cast(field.type)
        if field.name in rows.column_names
        else pa.nulls(len(rows), field.type)
    )


def seconds(work: Callable[[], object]) -> float:
    """How long one call takes."""
    before = time.perf_counter()
    work()
    return time.perf_counter() - before


def main(arguments: list[str]) -> int:
    """Run alone; prints host, five repeats and the ratio of seconds, product to baseline."""
    print(json.dumps(host(), indent=2))
    with cases(SMALL if "--small" in arguments else USERS) as prepared:
        for case in prepared:
            print(f"\n{case.name}, against {case.baseline_is}")
            result = measure(case)
            print(
                f"seconds, product to baseline: {1 / result['ratio_median']:.2f} (median of five; target at full size: 1.30)"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
