"""Differences as people read them."""

from __future__ import annotations

from typing import Any

from controlplane.rulesets.difference import difference


def section(**parts: Any) -> dict[str, Any]:
    about = {"key": "home-feed", "kind": "home-feed", "slots": 10, "fallback": []}
    return {"surface": about, "experiments": [], "overrides": [], "guardrails": [], "facts": {}, **parts}


def sections(shared: dict[str, Any] | None = None, **surfaces: dict[str, Any]) -> dict[str, Any]:
    bare: dict[str, Any] = {"audiences": {}, "experiments": [], "kill_switches": []}
    return {"shared": {**bare, **(shared or {})}} | {
        f"surface:{key.replace('_', '-')}": {
            **body,
            "surface": {**body["surface"], "key": key.replace("_", "-")},
        }
        for key, body in surfaces.items()
    }


def boost(factor: float, **changes: Any) -> dict[str, Any]:
    return {"key": "summer", "version": 1, "type": "boost", "items": ["a"], "factor": factor, **changes}


def sentences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    return [change.sentence for change in difference(before, after)]


def test_difference__a_boost_on_one_surface__says_was_and_is() -> None:
    before = sections(home_feed=section(overrides=[boost(1.2)]))
    after = sections(home_feed=section(overrides=[boost(1.5, version=2)]))

    assert sentences(before, after) == ["boost summer 1.2 → 1.5 on home-feed"]
    change = difference(before, after)[0]
    assert change.to_json() == {
        "what": "changed",
        "kind": "overrides",
        "key": "summer",
        "surfaces": ["home-feed"],
        "fields": {"factor": {"before": 1.2, "after": 1.5}, "version": {"before": 1, "after": 2}},
        "sentence": "boost summer 1.2 → 1.5 on home-feed",
    }


def test_difference__the_same_change_on_two_surfaces__is_told_once() -> None:
    before = sections(email=section(overrides=[boost(1.2)]), home_feed=section(overrides=[boost(1.2)]))
    after = sections(email=section(), home_feed=section())

    assert sentences(before, after) == ["boost summer removed on email, home-feed"]


def test_difference__equal_artefacts__is_empty() -> None:
    same = sections(home_feed=section(overrides=[boost(1.2)]))
    assert difference(same, same) == []


def test_difference__every_kind__has_words() -> None:
    arms = [{"key": "control", "weight": 5000}, {"key": "new", "weight": 5000}]
    experiment = {"key": "checkout", "version": 1, "phase": 1, "coverage": 1000, "arms": arms}
    guardrail = {
        "key": "toxic",
        "version": 1,
        "action": "block",
        "signal": "toxicity",
        "op": ">=",
        "threshold": 0.8,
    }
    switch = {"key": "recall", "version": 1, "kind": "block_items", "items": ["a", "b"], "rule": None}
    before = sections(
        home_feed=section(experiments=[experiment], guardrails=[guardrail], facts={"a": {"available": True}})
    )
    after = sections(
        {"kill_switches": [switch], "audiences": {"vip": {"version": 1, "condition": {}}}},
        home_feed=section(
            surface={"key": "home-feed", "kind": "home-feed", "slots": 12, "fallback": ["x"]},
            experiments=[{**experiment, "coverage": 5000}],
            guardrails=[{**guardrail, "threshold": 0.7}],
            overrides=[boost(1.5)],
            facts={"a": {"available": False}, "x": {"available": True}},
        ),
    )

    assert sentences(before, after) == [
        "experiment checkout coverage 10 % → 50 % on home-feed",
        "boost summer added on home-feed (factor 1.5, items a)",
        "guardrail toxic threshold 0.8 → 0.7 on home-feed",
        "kill switch recall added (block items, a, b)",
        "audience vip added",
        "surface home-feed fallback gain x; slots 10 → 12",
        "facts of 2 items on home-feed: no longer available a; added x",
    ]


def test_difference__a_new_surface__is_one_sentence_beside_its_rules() -> None:
    after = sections(email=section(overrides=[boost(1.2)], facts={"a": {"available": True}}))

    assert sentences(sections(), after) == [
        "boost summer added on email (factor 1.2, items a)",
        "surface email added",
    ]
