"""Ruleset documents as a control plane publishes them."""

import copy
from typing import Any

from controlplane.engine.schema import digest

EXPERIMENT: dict[str, Any] = {
    "key": "ranker-v2",
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
            "ranges": [[5000, 10_000]],
            "parameters": {"ranker": "personal"},
        },
    ],
    "condition": None,
    "audience": None,
    "filters": [],
    "windows": [],
}

PIN: dict[str, Any] = {
    "key": "autumn",
    "version": 3,
    "type": "pin",
    "items": ["item-4"],
    "condition": None,
    "position": 1,
    "factor": 1.0,
    "when": {"condition": None, "audience": None},
    "windows": [],
    "priority": 0,
    "must_match_filters": True,
    "temporary": False,
    "updated_at": "2026-11-23T10:00:00Z",
}


def document(
    *, revision: int = 1, environment: str = "production", log_rate: int = 0, pins: bool = True
) -> dict[str, Any]:
    """A whole document: one experiment, one pin, one surface of five slots."""
    facts = {f"item-{n}": {"available": True, "signals": {}, "attributes": {}} for n in range(1, 11)}
    sections: dict[str, Any] = {
        "shared": {"audiences": {}, "experiments": [], "kill_switches": []},
        "surface:home-feed": {
            "surface": {
                "key": "home-feed",
                "kind": "home-feed",
                "slots": 5,
                "fallback": ["item-9"],
                "sensitive": False,
                "minors": False,
                "log_rate": log_rate,
            },
            "experiments": [copy.deepcopy(EXPERIMENT)],
            "overrides": [copy.deepcopy(PIN)] if pins else [],
            "guardrails": [],
            "facts": facts,
        },
    }
    return signed({"sections": sections}, revision=revision, environment=environment)


def signed(body: dict[str, Any], *, revision: int, environment: str) -> dict[str, Any]:
    """The sections under a manifest that names their digests."""
    manifest = {
        "schema": 1,
        "law": 1,
        "environment": environment,
        "revision": revision,
        "previous": revision - 1,
        "issued_at": "2026-11-23T10:00:00Z",
        "sections": {name: digest(section) for name, section in body["sections"].items()},
        "key_id": "k1",
        "signature": "c2lnbmF0dXJl",
    }
    return {"manifest": manifest, "sections": body["sections"]}
