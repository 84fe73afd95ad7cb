"""Recorded decisions of every law version are replayed bit for bit from document and request alone."""

import json
from collections import Counter
from pathlib import Path

import pytest

from controlplane.engine import LAW_VERSION, Request, Ruleset, decide
from controlplane.engine.validate import check_document

FILE = Path(__file__).parent / "corpus" / f"law-{LAW_VERSION}.json"


@pytest.mark.parametrize("entry", range(5))
def test_recorded_decisions__replayed__are_identical(entry: int) -> None:
    recorded = json.loads(FILE.read_text("utf-8"))[entry]
    assert check_document(recorded["document"]) == []
    ruleset = Ruleset.from_document(recorded["document"])
    replayed = [decide(ruleset, Request.from_json(one["request"])).to_json() for one in recorded["decisions"]]
    written = [json.dumps(one, sort_keys=True) for one in replayed]
    assert written == [json.dumps(one["decision"], sort_keys=True) for one in recorded["decisions"]]


def test_recorded_decisions__together__hold_every_kind_of_outcome() -> None:
    decisions = [
        one["decision"] for entry in json.loads(FILE.read_text("utf-8")) for one in entry["decisions"]
    ]
    steps = Counter(step["step"] for decision in decisions for step in decision["trace"])
    removals = Counter(gone["reason"] for decision in decisions for gone in decision["removed"])
    reasons = Counter(one["reason"] for decision in decisions for one in decision["assignments"])
    assert {"pin", "pin_refused", "boost", "bury", "demote", "label", "shadow", "item_gate", "hide"} <= set(
        steps
    )
    assert {
        "guardrail",
        "age_gate",
        "unavailable",
        "hidden",
        "not_required",
        "truncated",
        "duplicate",
    } <= set(removals)
    assert {"kill_switch", "slate_gate", "no_facts", "unknown_surface"} <= set(removals)
    assert {"assigned", "not_covered", "condition", "filtered", "no_unit"} <= set(reasons)


def test_replay__of_an_altered_request__gives_another_decision() -> None:
    entry = json.loads(FILE.read_text("utf-8"))[0]
    ruleset = Ruleset.from_document(entry["document"])
    one = next(one for one in entry["decisions"] if one["decision"]["slate"])
    first = one["decision"]["slate"][0]["id"]
    one["request"]["candidates"] = [item for item in one["request"]["candidates"] if item["id"] != first]
    assert decide(ruleset, Request.from_json(one["request"])).to_json() != one["decision"]
