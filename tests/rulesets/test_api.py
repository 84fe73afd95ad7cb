"""Revisions, differences and holds over REST."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from controlplane.core import services as core
from controlplane.core.actors import Actor
from controlplane.core.models import AuditEvent, SecurityEvent
from controlplane.rulesets import services
from controlplane.rulesets.models import Hold, Revision
from tests.rulesets import sources
from tests.rulesets.sources import NOW

ADMIN = Actor(kind="user", id="1", name="Ada", grants=frozenset({("admin", None)}))
API = "/api/v1"


def program(role: str) -> Client:
    _, text = core.create_token(
        key=role, name=role, actor=ADMIN, at=datetime.now(UTC), scopes=["rest"], roles=[role]
    )
    return Client(headers={"authorization": f"Bearer {text}"})


def post(client: Client, path: str, body: Any = None, **headers: str) -> Any:
    return client.post(
        API + path, data=json.dumps(body or {}), content_type="application/json", headers=headers
    )


@pytest.fixture
def client(production: str) -> Client:
    sources.boost("summer", 1.2)
    services.publish("production", cause="first", at=NOW)
    sources.boost("summer", 1.5)
    services.publish("production", cause="second", at=NOW + timedelta(hours=1))
    return program("operator")


def hold(client: Client, **changes: Any) -> Any:
    body = {
        "environment": "production",
        "from_revision": 1,
        "reason": "sales fell",
        "expires_at": (datetime.now(UTC) + timedelta(days=1)).isoformat(),
    }
    return post(client, "/holds", {**body, **changes})


def test_revisions__listed__newest_first(client: Client) -> None:
    answer = client.get(f"{API}/revisions?environment=production").json()

    assert [(one["number"], one["cause"]) for one in answer["results"]] == [(2, "second"), (1, "first")]
    assert client.get(f"{API}/revisions?environment=staging").json()["count"] == 0


def test_revision__by_number__says_what_it_was_linked_from(client: Client) -> None:
    answer = client.get(f"{API}/revisions/production/2").json()

    assert (answer["number"], answer["previous"], answer["is_head"]) == (2, 1, True)
    assert [(one["source"], one["standing"]) for one in answer["fragments"]] == [
        (source, "current") for source in ("catalog", "guardrails", "overrides", "switches")
    ]
    assert answer["manifest"]["revision"] == 2
    assert client.get(f"{API}/revisions/production/1").json()["is_head"] is False
    missing = client.get(f"{API}/revisions/production/3")
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")


def test_difference__of_two_revisions__in_sentences(client: Client) -> None:
    answer = client.get(f"{API}/revisions/production/1/difference/2").json()

    assert [one["sentence"] for one in answer["changes"]] == ["boost summer 1.2 → 1.5 on home-feed"]
    assert answer["changes"][0]["fields"] == {"factor": {"before": 1.2, "after": 1.5}}


def test_publish__by_hand__names_the_revision_and_its_author(client: Client) -> None:
    sources.boost("summer", 2.0)
    answer = post(client, "/rulesets/production/publish")

    assert answer.status_code == 200
    assert answer.json() == {"environment": "production", "revision": 3, "status": "published"}
    assert Revision.objects.get(number=3).author == "operator"
    assert AuditEvent.objects.filter(operation="rulesets.publish").count() == 1


def test_publish__by_somebody_who_may_not__publishes_nothing(client: Client) -> None:
    sources.boost("summer", 2.0)
    answer = post(program("viewer"), "/rulesets/production/publish")

    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert Revision.objects.count() == 2
    assert SecurityEvent.objects.get().operation == "rulesets.publish"


def test_hold__set_looked_at_and_released(client: Client) -> None:
    made = hold(client)
    assert made.status_code == 201, made.content
    assert made.json()["ruleset"] == {"environment": "production", "revision": 3, "status": "published"}
    assert (made.json()["sources"], made.json()["from_revision"]) == (["overrides"], 1)
    address = f"/holds/{made.json()['id']}"

    preview = client.get(f"{API}{address}/release-preview").json()
    assert [one["sentence"] for one in preview["changes"]] == ["boost summer 1.2 → 1.5 on home-feed"]
    assert Revision.objects.count() == 3

    assert post(client, f"{address}/release").status_code == 428
    assert post(client, f"{address}/release", if_match='"7"').status_code == 412
    tag = client.get(API + address).headers["ETag"]
    released = post(client, f"{address}/release", if_match=tag)
    assert released.status_code == 200, released.content
    assert released.json()["ruleset"] == {"environment": "production", "revision": 4, "status": "published"}
    assert released.json()["released_by"] == "operator"
    assert [one["id"] for one in client.get(f"{API}/holds?environment=production").json()["results"]] == [
        made.json()["id"]
    ]


@pytest.mark.parametrize(
    ("changes", "status", "field"),
    [
        ({"sources": ["overides"]}, 400, "sources"),
        ({"sources": []}, 400, "sources"),
        ({"from_revision": 9}, 404, None),
        ({"from_revision": "one"}, 400, "from_revision"),
        ({"reason": "  "}, 400, "reason"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, 400, "expires_at"),
        ({"expires": "soon"}, 400, "expires"),
        ({"sources": ["guardrails"]}, 403, None),
    ],
)
def test_hold__bad_input__names_the_field_and_sets_nothing(
    client: Client, changes: dict[str, Any], status: int, field: str | None
) -> None:
    answer = hold(client, **changes)

    assert answer.status_code == status, answer.content
    assert [error["field"] for error in answer.json().get("errors", [])] == ([field] if field else [])
    assert (Hold.objects.count(), Revision.objects.count()) == (0, 2)
