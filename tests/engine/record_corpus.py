"""Records decisions of the current law, to be replayed for ever: `python -m tests.engine.record_corpus`.

One file per law version; a file that exists is never written again. A change that alters any recorded decision is a new
law: raise LAW_VERSION and record a new file beside the old one.
"""

import json
import random
import sys
from pathlib import Path
from typing import Any

from controlplane.engine import LAW_VERSION, Candidate, Request, Ruleset, decide
from tests.engine.documents import document, experiment, guardrail, override, shared_section, surface_section

CORPUS = Path(__file__).parent / "corpus"
ITEMS = [f"i{number}" for number in range(30)]
BRANDS = ("acme", "zeta", "nord")


def recorded_document(rng: random.Random) -> dict[str, Any]:
    """A ruleset that uses every kind of rule."""
    rules = []
    for number in range(14):
        kind = rng.choice(["pin", "boost", "boost", "bury", "hide", "require"] if number else ["pin"])
        rules.append(
            override(
                f"rule-{number:02}",
                kind,
                *rng.sample(ITEMS, rng.randint(1, 3) if kind != "require" else 20),
                condition=None
                if kind == "pin"
                else rng.choice([None, {"brand": rng.choice(BRANDS)}, {"price": {"$lt": 20}}]),
                position=rng.randint(1, 6),
                factor={"boost": rng.choice([1.5, 3]), "bury": 0.4}.get(kind),
                when={
                    "condition": rng.choice([None, None, {"device": "phone"}]),
                    "audience": rng.choice([None, None, "vip"]),
                },
                windows=rng.choice(
                    [
                        [],
                        [],
                        [["2026-11-23T00:00:00Z", "2026-11-24T00:00:00Z"]],
                        [[None, "2026-11-01T00:00:00Z"]],
                    ]
                ),
                priority=rng.randint(0, 3),
                must_match_filters=rng.random() < 0.7,
                temporary=rng.random() < 0.3,
            )
        )
    rails = [
        guardrail("age", "age_gate", signal="adult", threshold=0.5, min_age=18),
        guardrail(
            "cap",
            "slate_cap",
            signal=None,
            op=None,
            threshold=None,
            condition={"brand": "nord"},
            max_share=4000,
        ),
        guardrail("demote", "demote", signal="spam", op=">", threshold=0.5, factor=0.3),
        guardrail("label", "label", signal="spam", threshold=0.7),
        guardrail("shadow", signal="spam", threshold=0.1, status="shadow"),
        guardrail("toxic", missing=rng.choice(["skip", "fail_open"])),
    ]
    facts = {
        item: {
            "available": rng.random() < 0.9,
            "signals": {name: round(rng.random(), 2) for name in ("toxicity", "spam", "adult")},
            "attributes": {"brand": rng.choice(BRANDS), "price": rng.randint(1, 40)},
        }
        for item in rng.sample(ITEMS, 20)
    }
    surface = surface_section(
        surface={"slots": 8, "fallback": ITEMS[:6]}, overrides=rules, guardrails=rails, facts=facts
    )
    shared = shared_section(
        audiences={"vip": {"version": 1, "condition": {"tier": {"$in": ["gold", "silver"]}}}},
        experiments=[
            experiment("layered", filters=[{"seed": "layer", "ranges": [[0, 6000]]}], coverage=8000),
            experiment(
                "ranker", weights=(5000, 3000, 2000), coverage=7000, condition={"device": {"$ne": "tv"}}
            ),
        ],
        kill_switches=[
            {"key": "stop", "version": 1, "kind": "block_items", "items": [rng.choice(ITEMS)], "surfaces": []}
        ],
    )
    return document(shared, surface, revision=rng.randint(1, 99))


def recorded_request(rng: random.Random) -> Request:
    candidates = [
        Candidate(
            item,
            rng.choice([None, round(rng.uniform(-1, 3), 3), round(rng.uniform(0, 1), 2)]),
            {
                "brand": rng.choice(BRANDS),
                "price": rng.randint(1, 40),
                "signals": {"toxicity": round(rng.random(), 2)},
            },
            rng.choice([None, 0.25]),
            "ann",
        )
        for item in rng.choices(ITEMS, k=rng.randint(0, 25))
    ]
    return Request(
        rng.choice(["home"] * 9 + ["elsewhere"]),
        rng.choice(["2026-11-23T10:00:00Z", "2026-11-24T00:00:00Z", "2026-11-23T23:59:59.999999Z"]),
        rng.choice([{"user": f"u{rng.randint(0, 999)}"}, {"user": "Zoë"}, {"session": "s1"}]),
        {
            "device": rng.choice(["phone", "tv"]),
            "tier": rng.choice(["gold", "none"]),
            "age": rng.choice([16, 40]),
        },
        tuple(candidates),
        rng.choice([None, 0, 3, 12]),
        decision_id=f"d{rng.randint(0, 10**9)}",
    )


def record() -> list[dict[str, Any]]:
    rng = random.Random(LAW_VERSION)
    entries = []
    for _ in range(5):
        body = recorded_document(rng)
        ruleset = Ruleset.from_document(body)
        asked = [recorded_request(rng) for _ in range(10)]
        entries.append(
            {
                "document": body,
                "decisions": [
                    {"request": one.to_json(), "decision": decide(ruleset, one).to_json()} for one in asked
                ],
            }
        )
    return entries


def main() -> int:
    target = CORPUS / f"law-{LAW_VERSION}.json"
    if target.exists():
        sys.stderr.write(f"{target} is recorded already; a changed law needs a new LAW_VERSION\n")
        return 1
    target.write_text(json.dumps(record(), separators=(",", ":"), ensure_ascii=False) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
