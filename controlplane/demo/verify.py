"""Recompute every number of a demo's summary from the lake's files, by other code: DuckDB and the standard library.

    python -m controlplane.demo.verify --summary var/demo/summary.json --lake var/lake

Reads the files that the Delta log names, uses nothing of the product, and exits 1 when a number differs.
"""

import argparse
import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import duckdb
from deltalake import DeltaTable

from controlplane.demo.verify_figures import Arm, compared

TOLERANCE = 1e-9
Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Check:
    """One number: where it stands in the summary, what is written there, what the lake says."""

    name: str
    written: object
    recomputed: object

    @property
    def agrees(self) -> bool:
        """Equal; numbers up to a relative error of 1e-9."""
        return same(self.written, self.recomputed)


def same(written: object, recomputed: object) -> bool:
    """Equal in kind and value, numbers within the tolerance."""
    if isinstance(written, Mapping) and isinstance(recomputed, Mapping):
        keys = set(written) == set(recomputed)
        return keys and all(same(written[key], recomputed[key]) for key in written)
    if isinstance(written, list) and isinstance(recomputed, list):
        return len(written) == len(recomputed) and all(map(same, written, recomputed))
    if isinstance(written, bool) or isinstance(recomputed, bool):
        return written is recomputed
    if isinstance(written, int | float) and isinstance(recomputed, int | float):
        return math.isclose(written, recomputed, rel_tol=TOLERANCE, abs_tol=1e-12)
    return written == recomputed


class Lake:
    """The events of one run, as views of an in-memory DuckDB."""

    def __init__(self, url: str, *, run: str, experiment: str) -> None:
        parts = urlsplit(url)
        root = unquote(parts.path) if parts.scheme == "file" else url
        files = [
            file.removeprefix("file://") for file in DeltaTable(f"{root.rstrip('/')}/events").file_uris()
        ]
        self._answers: dict[str, list[Row]] = {}
        self._db = duckdb.connect()
        self._db.execute("SET TimeZone = 'UTC'")
        self._db.read_parquet(files, hive_partitioning=True, union_by_name=True).create_view("lake")
        self._db.execute(
            "CREATE TABLE ours AS SELECT * FROM lake WHERE source = 'demo' AND "
            "starts_with(coalesce(user_id, session_id), $run)",
            {"run": run + "-"},
        )
        self._db.execute(
            "INSERT INTO ours SELECT * FROM lake WHERE type = 'custom' AND session_id = $run", {"run": run}
        )
        self._db.execute(
            "CREATE TABLE exposed AS SELECT user_id, min(a.arm) AS arm, max(a.arm) AS last_arm, min(occurred_at) AS first "
            "FROM (SELECT user_id, occurred_at, unnest(assignments) AS a FROM ours WHERE type = 'exposure') "
            "WHERE a.experiment = $experiment AND a.arm IS NOT NULL GROUP BY user_id",
            {"experiment": experiment},
        )
        self._db.execute(
            "CREATE TABLE slates AS SELECT decision_id, revision, properties->>'stage' AS stage, "
            "properties->>'ranker' AS ranker, items, removed FROM ours WHERE type = 'decision'"
        )

    def rows(self, sql: str, **parameters: object) -> list[Row]:
        """The rows of a query; asked again, the same rows, since the files do not change."""
        used = {name: value for name, value in parameters.items() if f"${name}" in sql}
        question = sql + json.dumps(used, sort_keys=True)
        if question not in self._answers:
            self._answers[question] = self._db.execute(sql, used or None).fetchall()
        return self._answers[question]

    def one(self, sql: str, **parameters: object) -> Row:
        """The only row of a query."""
        (row,) = self.rows(sql, **parameters)
        return row


OUTCOMES = """
WITH outcome AS (
    SELECT exposed.user_id, exposed.arm,
        coalesce(max(CASE WHEN type = 'conversion' AND name = 'add_to_cart' THEN 1 END), 0) AS added,
        coalesce(sum(CASE WHEN type = 'value' AND name = 'revenue' THEN value END), 0) AS spent
    FROM exposed LEFT JOIN ours ON ours.user_id = exposed.user_id AND ours.occurred_at >= exposed.first
    WHERE exposed.arm = exposed.last_arm GROUP BY ALL
)
SELECT arm, count(*), sum(added), avg(spent), var_samp(spent) FROM outcome GROUP BY arm ORDER BY arm
"""


def experiment_checks(lake: Lake, written: Mapping[str, Any]) -> Iterator[Check]:
    """Sizes, sample ratio, both metrics, and the verdict that follows from them."""
    (_, n0, added0, spent0, variance0), (_, n1, added1, spent1, variance1) = lake.rows(OUTCOMES)
    yield Check("arms", written["arms"], {"control": n0, "treatment": n1})
    (crossed,) = lake.one("SELECT count(*) FROM exposed WHERE arm <> last_arm")
    yield Check("multiple_exposure", written["multiple_exposure"], crossed)
    half = (n0 + n1) / 2
    chi_square = (n0 - half) ** 2 / half + (n1 - half) ** 2 / half
    p_value = math.erfc(math.sqrt(chi_square / 2))
    level = "alarm" if p_value < 0.001 else "look" if p_value < 0.01 else "clear"
    ratio = {
        "level": level,
        "p_value": p_value,
        "statistic": chi_square,
        "observed": [n0, n1],
        "expected": [half, half],
    }
    yield Check("sample_ratio", written["sample_ratio"], ratio)
    rates = [Arm(n, k / n, k * (n - k) / n**3) for n, k in ((n0, added0), (n1, added1))]
    means = [
        Arm(n, mean, variance / n) for n, mean, variance in ((n0, spent0, variance0), (n1, spent1, variance1))
    ]
    metrics = written["metrics"]
    cart = compared(rates[0], rates[1], metrics["add_to_cart"], conversions=(added0, added1))
    yield from _fields("add_to_cart", metrics["add_to_cart"], cart)
    yield from _fields(
        "revenue", metrics["revenue"], compared(means[0], means[1], metrics["revenue"], conversions=None)
    )
    yield from verdict_checks(written, cart, level)


def verdict_checks(written: Mapping[str, Any], cart: Mapping[str, Any], level: str) -> Iterator[Check]:
    """The word follows from the sample ratio and the always-valid interval; its sentence says the same numbers."""
    band = cart["always_valid"]["interval"]
    if level == "alarm":
        word = "hold"
    elif band["low"] > 0:
        word = "ship"
    else:
        word = "stop" if band["high"] < 0 else "keep running"
    yield Check("verdict.word", written["verdict"]["word"], word)
    words = written["verdict_in_words"]
    for name, number in (("difference", cart["difference"]), ("low", band["low"]), ("high", band["high"])):
        text = f"{number:+.4g}"
        yield Check(f"verdict in words says {name}", text in words, True)


def _fields(name: str, written: Mapping[str, Any], recomputed: Mapping[str, Any]) -> Iterator[Check]:
    for field in sorted(set(written) | set(recomputed)):
        yield Check(f"{name}.{field}", written.get(field), recomputed.get(field))


FIGURES = """
WITH stage AS (SELECT * FROM slates WHERE stage = $stage AND ranker = 'popularity'),
     place AS (SELECT decision_id, item.id AS item, item.position AS position
               FROM (SELECT decision_id, unnest(items) AS item FROM stage))
SELECT (SELECT count(*) FROM stage),
       (SELECT count(DISTINCT decision_id) FROM place WHERE list_contains($items, item)),
       (SELECT avg(position) FROM place WHERE list_contains($items, item))
"""
REMOVALS = """
SELECT count(*) FROM (SELECT stage, ranker, unnest(removed) AS gone FROM slates)
WHERE gone.rule = $rule AND list_contains($stages, stage) AND ranker = 'popularity'
"""
STAGES: dict[str, tuple[str, str, list[str]]] = {
    "boost": ("baseline", "live", []),
    "pin": ("baseline", "live", []),
    "guardrail": ("baseline", "live", ["live", "switched"]),
    "kill_switch": ("live", "switched", ["switched"]),
}


def slate_checks(lake: Lake, written: Mapping[str, Any]) -> Iterator[Check]:
    """What each rule did to slates."""
    for name, (before, after, removed_in) in STAGES.items():
        figures = written[name]
        for when, stage in (("before", before), ("after", after)):
            slates, having, position = lake.one(FIGURES, stage=stage, items=figures["items"])
            recomputed = {
                "slates": slates,
                "share_with_item": having / slates if slates else None,
                "mean_position": position,
            }
            yield Check(f"slates.{name}.{when}", figures[when], recomputed)
        if removed_in:
            (removed,) = lake.one(REMOVALS, rule=figures["rule"], stages=removed_in)
            yield Check(f"slates.{name}.removed", figures["removed"], removed)


def event_checks(lake: Lake, summary: Mapping[str, Any]) -> Iterator[Check]:
    """Counts of events and revisions, and how the run was steered."""
    events = summary["events"]
    by_type: dict[str, int] = dict(lake.rows("SELECT type, count(*) FROM ours GROUP BY type"))
    yield Check("events.by_type", {**events["by_type"]}, by_type)
    total, distinct = lake.one("SELECT count(*), count(DISTINCT event_id) FROM ours")
    yield Check("events: none twice in the lake", total, distinct)
    yield Check("events.tracked", events["tracked"], distinct)
    answered = events["accepted"] + events["duplicate"] + events["quarantined"]
    yield Check("events.sent", events["sent"], answered)
    started = _note(lake, "demo_started")
    finished = _note(lake, "demo_finished")
    yield Check("events.sent_twice", events["sent_twice"], finished["resent"])
    yield Check("events.accepted + sent in answers that were lost", events["accepted"] <= distinct, True)
    yield Check(
        "events.duplicate", events["duplicate"], events["sent"] - events["accepted"] - events["quarantined"]
    )
    yield Check(
        "events.accepted + duplicate beyond those sent twice",
        events["accepted"] + events["duplicate"] - events["sent_twice"],
        distinct,
    )
    for name in ("seed", "effect", "split", "shoppers"):
        yield Check(name, summary[name], started[name])
    shoppers = lake.one("SELECT count(*) FROM slates WHERE stage IN ('live', 'switched')")[0]
    yield Check("events.lost_by_the_host", events["lost_by_the_host"], summary["shoppers"] - shoppers)
    revisions = {
        str(number): count for number, count in lake.rows("SELECT revision, count(*) FROM slates GROUP BY 1")
    }
    yield Check("revisions.decided", summary["revisions"]["decided"], revisions)
    oldest: dict[str, int] = dict(lake.rows("SELECT stage, min(revision) FROM slates GROUP BY stage"))
    yield Check("revisions.oldest_by_stage", summary["revisions"]["oldest_by_stage"], oldest)


def _note(lake: Lake, name: str) -> dict[str, Any]:
    (text,) = lake.one("SELECT properties FROM ours WHERE type = 'custom' AND name = $name", name=name)
    note = json.loads(text)
    assert isinstance(note, dict)
    return note


def open_lake(summary: Mapping[str, Any], lake_url: str) -> Lake:
    """The events of the summary's run."""
    return Lake(lake_url, run=summary["run"], experiment=summary["experiment"]["key"])


def checks(summary: Mapping[str, Any], lake: Lake) -> list[Check]:
    """Every check of a summary."""
    return [
        *experiment_checks(lake, summary["experiment"]),
        *slate_checks(lake, summary["slates"]),
        *event_checks(lake, summary),
    ]


def table(found: Sequence[Check]) -> Iterator[str]:
    """The checks as lines."""
    width = max(len(check.name) for check in found)
    for check in found:
        mark = "agrees " if check.agrees else "DIFFERS"
        yield f"{mark} {check.name:<{width}}  {_brief(check.recomputed)}"
        if not check.agrees:
            yield f"        {'written in the summary:':<{width}}  {_brief(check.written)}"


def _brief(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_brief(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return "/".join(map(_brief, value))
    return str(value)


def main(arguments: Sequence[str] | None = None, *, say: Callable[[str], object] = print) -> int:
    """0 when every number agrees, 1 when one differs, 2 when there is nothing to check."""
    parser = argparse.ArgumentParser(
        prog="demo_verify", description="Recompute a demo's summary from the lake."
    )
    parser.add_argument("--summary", type=Path, default=Path("var/demo/summary.json"))
    parser.add_argument("--lake", default="var/lake", help="folder or URL of the lake")
    given = parser.parse_args(arguments)
    try:
        summary = json.loads(given.summary.read_text(encoding="utf-8"))
    except FileNotFoundError:
        say(f"there is no {given.summary}: run `make demo ONCE=1` first")
        return 2
    found = checks(summary, open_lake(summary, given.lake))
    for line in table(found):
        say(line)
    wrong = sum(not check.agrees for check in found)
    say(
        f"{len(found)} checks, {wrong} differ"
        if wrong
        else f"{len(found)} checks, all agree with the lake's files"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
