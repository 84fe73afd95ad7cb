"""Who is counted and what counts on them: each rule of the population by itself, then all of them against
plain Python.
"""

import math
import random
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from controlplane.evidence.population import MetricSpec, PopulationSpec
from controlplane.evidence.unit_table import UNIT_COLUMNS, unit_table
from tests.evidence.lakes import (
    CLICKS,
    PURCHASE,
    REVENUE,
    event,
    events_table,
    exposure,
    hours,
    population,
    purchase,
    revenue,
)

Row = dict[str, Any]


def units(rows: Sequence[Row], spec: PopulationSpec, *metrics: MetricSpec) -> dict[str, Row]:
    table = unit_table(events_table(rows), spec, metrics or (PURCHASE,)).to_pyarrow().to_pylist()
    assert len({row["unit"] for row in table}) == len(table)
    return {row["unit"]: row for row in table}


def test_unit_table__outcome_before_exposure__does_not_count() -> None:
    found = units([purchase("u", 1), exposure("u", "b", 2)], population())
    assert found["u"]["m0"] == 0


def test_unit_table__outcome_at_the_moment_of_exposure__counts() -> None:
    assert units([exposure("u", "b", 2), purchase("u", 2)], population())["u"]["m0"] == 1


def test_unit_table__unit_without_events__is_there_with_zero() -> None:
    found = units([exposure("u", "b", 2)], population(), PURCHASE, REVENUE, CLICKS)
    assert (found["u"]["m0"], found["u"]["m1"], found["u"]["m2"]) == (0, 0, 0)


def test_unit_table__outcome_of_the_unexposed__ignored() -> None:
    assert set(units([exposure("u", "b", 2), purchase("stranger", 3)], population())) == {"u"}


def test_unit_table__exposed_often__one_row_from_the_first() -> None:
    found = units(
        [exposure("u", "b", 9), exposure("u", "b", 2), purchase("u", 5), exposure("u", "b", 300)],
        population(),
    )
    assert found["u"]["first_exposure"] == hours(2)
    assert (found["u"]["m0"], found["u"]["crossed"]) == (1, False)


def test_unit_table__seen_in_two_arms__marked() -> None:
    found = units([exposure("u", "a", 2), exposure("u", "b", 3), exposure("v", "a", 3)], population())
    assert (found["u"]["crossed"], found["v"]["crossed"]) == (True, False)


@pytest.mark.parametrize(
    "other",
    [
        exposure("u", "a", 1, experiment="search"),
        exposure("u", "a", 1, phase=2),
        exposure("u", "a", 1, environment="staging"),
        exposure("u", None, 1),
        exposure("u", "a", -1),
        exposure("u", "a", 24 * 14),
        exposure("u", "a", 1, kind="impression"),
        exposure(None, "a", 1),
    ],
)
def test_unit_table__exposure_outside_the_population__ignored(other: Row) -> None:
    found = units([other, exposure("u", "b", 5)], population())
    assert set(found) == {"u"}
    assert (found["u"]["arm"], found["u"]["crossed"], found["u"]["first_exposure"]) == ("b", False, hours(5))


def test_unit_table__several_assignments_on_one_event__each_finds_its_experiment() -> None:
    row = exposure("u", "b", 1)
    row["assignments"].append(
        {"experiment": "search", "phase": 3, "arm": "x", "arm_propensity": 1.0, "would_be": None}
    )
    assert units([row], population(experiment="search", phase=3))["u"]["arm"] == "x"


def test_unit_table__all_phases__when_none_is_named() -> None:
    rows = [exposure("u", "a", 1, phase=1), exposure("v", "b", 1, phase=2)]
    assert set(units(rows, population(phase=None))) == {"u", "v"}


def test_unit_table__impressions_as_exposures__when_the_experiment_says_so() -> None:
    rows = [exposure("u", "a", 1, kind="impression"), exposure("v", "b", 1, kind="decision")]
    assert set(units(rows, population(exposure_types=("impression",)))) == {"u"}


@pytest.mark.parametrize("unit", sorted(UNIT_COLUMNS))
def test_unit_table__unit_kind__decides_who_is_one(unit: Any) -> None:
    ids = {column: f"the-{column}" for column in UNIT_COLUMNS.values()}
    row = exposure("ignored", "b", 1)
    row.update(ids)
    assert set(units([row], population(unit=unit))) == {f"the-{UNIT_COLUMNS[unit]}"}


def test_unit_table__window__is_half_open() -> None:
    metric = MetricSpec("m", "mean", "click", "count", window_hours=24)
    rows = [exposure("u", "b", 10), *[event("click", "u", at) for at in (10, 33.99, 34, 50)]]
    assert units(rows, population(), metric)["u"]["m0"] == 2


def test_unit_table__retention__counts_from_the_delay_on() -> None:
    metric = MetricSpec("d1", "proportion", "click", "retention", delay_hours=24, window_hours=48)
    rows = [exposure(u, "b", 0) for u in ("early", "at", "inside", "end")]
    rows += [event("click", u, at) for u, at in (("early", 23.9), ("at", 24), ("inside", 40), ("end", 48))]
    found = units(rows, population(), metric)
    assert {u: row["m0"] for u, row in found.items()} == {"early": 0, "at": 1, "inside": 1, "end": 0}


def test_unit_table__sum__leaves_out_what_is_no_number() -> None:
    rows = [exposure("u", "b", 0)]
    rows += [revenue("u", 1, value) for value in (5.0, -2.0, math.nan, math.inf)]
    rows.append(event("value", "u", 1, name="revenue"))
    assert units(rows, population(), REVENUE)["u"]["m0"] == 3.0


def test_unit_table__metric_without_a_name__counts_events_of_every_name() -> None:
    every = MetricSpec("every", "mean", "conversion", "count")
    rows = [exposure("u", "b", 0), purchase("u", 1), event("conversion", "u", 2, name="signup")]
    found = units(rows, population(), PURCHASE, every)
    assert (found["u"]["m0"], found["u"]["m1"]) == (1, 2)


def test_unit_table__outcomes_after_the_end__ignored() -> None:
    rows = [exposure("u", "b", 0), purchase("u", 24 * 14), purchase("u", 24 * 13)]
    count = MetricSpec("n", "mean", "conversion", "count", name="purchase")
    assert units(rows, population(), count)["u"]["m0"] == 1


def test_unit_table__stratum__is_that_of_the_first_exposure() -> None:
    rows = [exposure("u", "b", 5, surface="search"), exposure("u", "b", 1, surface="home")]
    assert units(rows, population(stratum="surface"))["u"]["stratum"] == "home"


METRICS = (
    PURCHASE,
    REVENUE,
    CLICKS,
    MetricSpec("soon", "proportion", "conversion", "any", name="purchase", window_hours=48),
    MetricSpec("back", "proportion", "click", "retention", delay_hours=24, window_hours=72),
    MetricSpec("conversions", "mean", "conversion", "count"),
)


def random_events(seed: int) -> list[Row]:
    """A muddle: late, duplicate, reordered, nameless, foreign events around an experiment of three arms."""
    rng = random.Random(seed)
    names: list[str | None] = [f"u{i}" for i in range(30)]
    rows: list[Row] = []
    for _ in range(900):
        user, at = rng.choice([*names, None]), float(rng.randrange(-30, 24 * 14 + 30))
        kind = rng.choice(["exposure", "exposure", "conversion", "signup", "value", "click", "impression"])
        fields: Row = {"environment": rng.choice(["production"] * 6 + ["staging"])}
        if kind in {"exposure", "impression"}:
            steady = "abc"[hash_of(user) % 3]
            arm = rng.choice([steady] * 8 + ["a", None])
            phase, experiment = rng.choice([1, 1, 1, 2]), rng.choice(["checkout"] * 3 + ["search"])
            rows.append(exposure(user, arm, at, kind=kind, phase=phase, experiment=experiment, **fields))
        elif kind == "value":
            rows.append(revenue(user, at, float(rng.randrange(-5, 50)), **fields))
        elif kind == "click":
            rows.append(event("click", user, at, **fields))
        else:
            name = "purchase" if kind == "conversion" else "signup"
            rows.append(event("conversion", user, at, name=name, **fields))
    rng.shuffle(rows)
    return rows


def hash_of(user: str | None) -> int:
    return int((user or "u0")[1:])


def by_hand(
    rows: Sequence[Row], spec: PopulationSpec, metrics: Sequence[MetricSpec]
) -> dict[str, tuple[Any, ...]]:
    """The definitions, said again in plain Python."""
    assert spec.since is not None
    scoped = [
        r
        for r in rows
        if r["environment"] == spec.environment and spec.since <= r["occurred_at"] < spec.until
    ]
    seen: dict[str, list[tuple[Any, str]]] = {}
    for r in scoped:
        for a in r.get("assignments") or []:
            fits = a["experiment"] == spec.experiment and a["phase"] == spec.phase and a["arm"] is not None
            if r["type"] in spec.exposure_types and fits and r["user_id"] is not None:
                seen.setdefault(r["user_id"], []).append((r["occurred_at"], a["arm"]))
    table = {}
    for user, exposures in seen.items():
        first, crossed = min(at for at, _ in exposures), len({arm for _, arm in exposures}) > 1
        values = []
        for m in metrics:
            opens = first + timedelta(hours=m.delay_hours)
            closes = spec.until if m.window_hours is None else first + timedelta(hours=m.window_hours)
            counted = [
                r
                for r in scoped
                if r["user_id"] == user
                and r["type"] == m.event_type
                and m.name in {None, r.get("name")}
                and opens <= r["occurred_at"] < closes
            ]
            if m.aggregation == "sum":
                values.append(sum(r["value"] for r in counted))
            else:
                values.append(len(counted) if m.aggregation == "count" else int(bool(counted)))
        table[user] = (first, crossed, *values)
    return table


@pytest.mark.parametrize("seed", range(12))
def test_unit_table__muddled_events__equals_the_definition_by_hand(seed: int) -> None:
    rows, spec = random_events(seed), population()
    expected = by_hand(rows, spec, METRICS)
    found = units(rows, spec, *METRICS)
    columns = ["first_exposure", "crossed", *[f"m{i}" for i in range(len(METRICS))]]
    assert {user: tuple(row[c] for c in columns) for user, row in found.items()} == expected
    assert any(row["crossed"] for row in found.values())
    assert sum(row["m0"] for row in found.values()) > 0
