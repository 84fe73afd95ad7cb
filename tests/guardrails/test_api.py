"""Guardrails and kill switches over REST: tightening at once, loosening only with another person."""

from typing import Any

import pytest

from controlplane.core.models import SecurityEvent
from controlplane.rulesets import selectors as rulesets
from controlplane.rulesets import services as publishing
from governance.guardrails.models import KillSwitch
from tests.guardrails.conftest import BLOCK, stock_signals
from tests.overrides.conftest import AT
from tests.overrides.test_api import Program

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def served(transactional_db: None) -> None:
    stock_signals()
    publishing.publish("production", cause="test", at=AT)


def shared() -> dict[str, Any]:
    return rulesets.sections(rulesets.head("production"))["shared"]


def test_guardrail__whole_life__tightens_alone_and_loosens_with_another(served: None) -> None:
    program = Program("compliance")
    where = {"environment": "production"}

    made = program.send("POST", "guardrails", {"key": "toxic", "title": "Toxic", "content": dict(BLOCK)})
    live = program.send("POST", "guardrails/toxic/publish", where, version=1)
    assert (made.status_code, live.json()["ruleset"]["revision"]) == (201, 2)

    program.send("PATCH", "guardrails/toxic", {"content": {**BLOCK, "threshold": 0.7}}, version=2)
    tighter = program.send("POST", "guardrails/toxic/publish", where, version=3)
    assert (tighter.status_code, tighter.json()["live"]) == (200, {"production": 2})

    program.send("PATCH", "guardrails/toxic", {"content": {**BLOCK, "threshold": 0.9}}, version=4)
    for verb in ("publish", "withdraw"):
        looser = program.send("POST", f"guardrails/toxic/{verb}", where, version=5)
        assert looser.json()["code"] == "approval_required"
        assert looser.json()["needs"][0]["role"] == "approver"
    assert SecurityEvent.objects.filter(code="approval_required").count() == 2
    feed = rulesets.sections(rulesets.head("production"))["surface:feed"]
    assert [(body["version"], body["threshold"]) for body in feed["guardrails"]] == [(2, 0.7)]


def test_kill_switch__thrown_over_rest__is_in_the_revision_it_answers_with(served: None) -> None:
    program = Program("operator")
    body = {
        "key": "recall",
        "environment": "production",
        "kind": "block_items",
        "items": ["a"],
        "reason": "batch 17",
    }

    thrown = program.send("POST", "kill-switches", body)

    assert thrown.status_code == 201
    assert thrown.json()["ruleset"] == {"environment": "production", "revision": 2, "status": "published"}
    assert [switch["key"] for switch in shared()["kill_switches"]] == ["recall"]

    refused = Program("compliance").send("POST", "kill-switches/recall/release", version=1)
    assert refused.json()["code"] == "approval_required"
    assert [switch["key"] for switch in shared()["kill_switches"]] == ["recall"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"environment": "nowhere"}, "environment"),
        ({"items": []}, "items"),
        ({"kind": "explode"}, "kind"),
        ({"surfaces": ["fed"]}, "surfaces"),
        ({"until": "tomorrow"}, "until"),
        ({"reason": "x" * 501}, "reason"),
    ],
)
def test_kill_switch__body_wrong__names_the_field_and_throws_nothing(
    served: None, change: dict[str, Any], field: str
) -> None:
    body = {
        "key": "recall",
        "environment": "production",
        "kind": "block_items",
        "items": ["a"],
        "reason": "x",
    }

    answer = Program("operator").send("POST", "kill-switches", {**body, **change})

    assert (answer.status_code, [error["field"] for error in answer.json()["errors"]]) == (400, [field])
    assert KillSwitch.objects.count() == 0
