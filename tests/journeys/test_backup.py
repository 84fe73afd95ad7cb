"""What is saved here and brought back on an empty folder is the same installation: heads, rulesets, results, trail."""

from pathlib import Path
from typing import Any

import pytest

from controlplane.client import Client
from tests.journeys.installation import Installation
from tests.journeys.rest import Document, Rest
from tests.journeys.traffic import CANDIDATES, SURFACE

pytestmark = [pytest.mark.xdist_group("installation"), pytest.mark.timeout(240)]
HERE = {"environment": "production"}
USERS = 200
EXPERIMENT = "/experiments/checkout"


def _run_experiment(rest: Rest) -> int:
    """Start an experiment on one metric; the revision that carries it."""
    rest.post(
        "/metrics",
        {
            "key": "bought",
            "title": "Users who bought",
            "content": {
                "kind": "proportion",
                "event_type": "conversion",
                "name": "purchase",
                "aggregation": "any",
                "window_hours": None,
            },
        },
    )
    arms = [{"key": "control", "weight": 5000}, {"key": "treatment", "weight": 5000}]
    content = {"surfaces": [SURFACE], "arms": arms, "coverage": 10_000, "primary_metric": "bought"}
    rest.post("/experiments", {"key": "checkout", "title": "Checkout", "content": content})
    revision = rest.change("POST", EXPERIMENT, "/start", HERE)["ruleset"]["revision"]
    assert isinstance(revision, int)
    return revision


def _visit(installation: Installation, token: str, *, revision: int) -> None:
    """Every user is exposed, every third buys."""
    with Client(installation.serve, token, poll_seconds=0.2, flush_seconds=0.2) as client:
        assert client.wait_for_revision(revision, 20)
        for number in range(USERS):
            units = {"user": f"visitor-{number}"}
            request = client.request(SURFACE, units, {}, CANDIDATES)
            client.track_exposure(client.decide_request(request), request)
            if number % 3 == 0:
                client.track({"type": "conversion", "name": "purchase", "unit_ids": units})
        assert client.flush(30)


def _standing(installation: Installation, rest: Rest, token: str) -> dict[str, Any]:
    """What must be the same on both sides."""
    ruleset = installation.ruleset(token)
    revision = ruleset.json()["manifest"]["revision"]
    return {
        "etag": ruleset.headers["etag"],
        "document": ruleset.json(),
        "head": rest.get(f"/revisions/production/{revision}"),
        "results": rest.get(f"{EXPERIMENT}/results"),
    }


def _measured(results: Document) -> int:
    result: Document = results["result"]
    return int(result["units"])


def test_backup__restored_on_an_empty_folder__is_the_same_installation(
    installation: Installation, token: str, rest_token: str, rest: Rest, folder: Path
) -> None:
    _visit(installation, token, revision=_run_experiment(rest))
    installation.wait_until_moved()
    rest.change("POST", EXPERIMENT, "/analyse", HERE)
    before = _standing(installation, rest, token)
    assert _measured(before["results"]) == USERS

    saved = folder / "saved.tar"
    installation.manage("backup", str(saved))
    other = Installation(
        folder / "other", only=("database", "broker", "migrate", "bootstrap", "serve", "web")
    )
    assert "intact: " in other.manage("restore", str(saved))
    with other:
        there = Rest(other.web, rest_token)
        after = _standing(other, there, token)
        trail = other.verify_audit()
        there.close()

    assert after == before
    assert trail.startswith("intact: ")
