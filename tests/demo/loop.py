"""The demo's loop in one process: the real shop, client, engine, event schema, lake and analysis.

The control plane is a peer that serves ruleset documents; everything that computes is the product's own.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from controlplane.client import Client
from controlplane.client.events import encode
from controlplane.demo import records
from controlplane.demo.catalogue import Item, make_catalogue
from controlplane.demo.records import Names, Picks
from controlplane.demo.shop import Shop
from controlplane.demo.shoppers import Behaviour, LossyHost, arrivals
from controlplane.demo.slates import BASELINE, LIVE, SWITCHED, SlateWatch
from controlplane.demo.steering import Steering
from controlplane.demo.story import Told, stages
from controlplane.demo.summary import make_summary
from controlplane.events import lake
from controlplane.events.schemas import check_line, lake_row, live_rules
from controlplane.events.shapes import Refusal
from controlplane.evidence.analysis import analyse
from controlplane.evidence.documents import result_document
from controlplane.evidence.plan import AnalysisRequest, Plan
from controlplane.evidence.population import MetricSpec, PopulationSpec
from controlplane.evidence.reading import open_lake
from tests.client.documents import signed
from tests.client.peer import TOKEN, Peer, serving

NAMES = Names.of_run(1)


def ruleset(items: tuple[Item, ...], *, revision: int, rules: bool, switch: bool) -> dict[str, Any]:
    """The document that the demo's records compile to."""
    picks = Picks.of(items)
    always: dict[str, Any] = {"windows": [], "condition": None}
    override = {
        **always,
        "version": 1,
        "when": {"condition": None, "audience": None},
        "priority": 0,
        "must_match_filters": True,
        "temporary": True,
        "updated_at": "2026-11-23T10:00:00Z",
    }
    overrides = [
        {
            **override,
            "key": NAMES.boost,
            "type": "boost",
            "items": list(picks.boosted),
            "position": None,
            "factor": records.BOOST_FACTOR,
        },
        {
            **override,
            "key": NAMES.pin,
            "type": "pin",
            "items": [picks.pinned],
            "position": records.PIN_POSITION,
            "factor": None,
        },
    ]
    guardrail = {
        **always,
        "key": NAMES.guardrail,
        "version": 1,
        "action": "block",
        "signal": "toxicity",
        "op": ">=",
        "threshold": records.TOXICITY_LIMIT,
        "missing": "skip",
        "status": "live",
    }
    experiment = {
        "key": NAMES.experiment,
        "version": 1,
        "phase": 1,
        "salt": "ranker-v2:1",
        "hash_attribute": "user",
        "hash_version": 2,
        "coverage": 10_000,
        "arms": [
            {"key": "control", "weight": 5000, "ranges": [[0, 5000]], "parameters": {"ranker": "popularity"}},
            {
                "key": "treatment",
                "weight": 5000,
                "ranges": [[5000, 10000]],
                "parameters": {"ranker": "personal"},
            },
        ],
        "condition": None,
        "audience": None,
        "filters": [],
        "windows": [],
    }
    kill = {
        "key": NAMES.kill_switch,
        "version": 1,
        "kind": "block_items",
        "items": [picks.killed],
        "rule": None,
        "surfaces": [],
        "reason": "recalled",
    }
    concerned = {*picks.boosted, picks.pinned, *picks.toxic}
    facts = {
        item.id: {"available": True, "signals": {"toxicity": item.toxicity}, "attributes": item.attributes()}
        for item in items
        if item.id in concerned
    }
    surface = {
        "key": NAMES.surface,
        "kind": "home-feed",
        "slots": records.SLOTS,
        "fallback": [],
        "sensitive": False,
        "minors": False,
        "log_rate": 100,
    }
    sections = {
        "shared": {"audiences": {}, "experiments": [], "kill_switches": [kill] if switch else []},
        f"surface:{NAMES.surface}": {
            "surface": surface,
            "experiments": [experiment] if rules else [],
            "overrides": overrides if rules else [],
            "guardrails": [guardrail] if rules else [],
            "facts": facts if rules else {},
        },
    }
    return signed({"sections": sections}, revision=revision, environment="production")


@dataclass(frozen=True, slots=True)
class Looped:
    """A finished run: its summary and the lake it was measured from."""

    summary: dict[str, Any]
    lake_url: str


def run_loop(steering: Steering, folder: Path) -> Looped:
    """One run. Fails when the event schema refuses an event that the client sent."""
    items = make_catalogue(steering.seed)
    peer = Peer(document=ruleset(items, revision=3, rules=False, switch=False))
    lake_url = f"file://{folder / 'lake'}"
    with (
        serving(peer),
        Client(peer.url, TOKEN, poll_seconds=0.05, flush_seconds=0.2, source="demo") as client,
    ):
        told = _visits(peer, client, items, steering)
        _fill(lake_url, peer)
        summary = make_summary(replace(told, results={"result": _analyse(lake_url, told)}), steering)
    return Looped(summary, lake_url)


def _visits(peer: Peer, client: Client, items: tuple[Item, ...], steering: Steering) -> Told:
    picks = Picks.of(items)
    groups = {
        "boost": picks.boosted,
        "pin": (picks.pinned,),
        "guardrail": picks.toxic,
        "kill_switch": (picks.killed,),
    }
    shop = Shop(
        client=client,
        items=items,
        behaviour=Behaviour(steering.seed, steering.effect),
        host=LossyHost(steering.split),
        watch=SlateWatch(groups),
        run=NAMES.run,
        surface=NAMES.surface,
        experiment=NAMES.experiment,
    )
    split = list(steering.split) if steering.split else None
    started = {"run": NAMES.run, "seed": steering.seed, "effect": steering.effect, "split": split}
    shop.note("demo_started", {**started, "shoppers": steering.shoppers})
    plan = zip((BASELINE, LIVE, SWITCHED), (3, 7, 8), stages(steering.shoppers), strict=True)
    for stage, revision, number in plan:
        peer.document = ruleset(items, revision=revision, rules=stage != BASELINE, switch=stage == SWITCHED)
        assert client.wait_for_revision(revision, 10.0)
        shop.serve_all(arrivals(seed=steering.seed, run=NAMES.run, name=stage, number=number), stage=stage)
    assert client.flush(30.0)
    resent = shop.send_again()
    shop.note("demo_finished", {"run": NAMES.run, "resent": resent})
    assert client.flush(30.0)
    return Told(
        names=NAMES,
        picks=picks,
        shop=shop,
        client=client,
        results={},
        resent=resent,
    )


def _fill(lake_url: str, peer: Peer) -> None:
    at = datetime.now(UTC)
    rules = live_rules("production", at=at, surfaces={NAMES.surface})
    rows = []
    for event in peer.events.values():
        verdict = check_line(encode(event), rules)
        assert not isinstance(verdict, Refusal), (verdict, event)
        rows.append(lake_row(event, environment="production", received_at=at, source="demo"))
    lake.append(lake.ensure_table(lake_url), lake.rows_table(rows), app_id="test", version=1)


def _analyse(lake_url: str, told: Told) -> dict[str, Any]:
    metrics = tuple(
        MetricSpec.from_json({**body["content"], "key": body["key"], "title": body["title"]})
        for body in records.metrics()
    )
    population = PopulationSpec(
        environment="production",
        experiment=told.names.experiment,
        phase=1,
        unit="user",
        until=datetime.now(UTC) + timedelta(seconds=1),
    )
    plan = Plan(control="control", weights={"control": 5000, "treatment": 5000}, primary="add_to_cart")
    request = AnalysisRequest(
        subject=f"experiments.experiment:{told.names.experiment}",
        population=population,
        metrics=metrics,
        plan=plan,
    )
    opened = open_lake(lake_url, since=None)
    return result_document(analyse(opened.events, request, lake_version=opened.version))
