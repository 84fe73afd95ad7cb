"""REST of quarantine, erasures, counts and retention, over HTTP."""

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client

from controlplane.catalog import services as catalog
from controlplane.core import tokens
from controlplane.core.actors import Actor
from controlplane.core.models import ApiToken
from controlplane.events import services
from controlplane.events.buffer import Bad, Submission
from controlplane.events.models import BufferedEvent, Erasure
from controlplane.events.shapes import Refusal

ADMIN = Actor(kind="user", id="0", name="tests", grants=frozenset({("admin", None)}))
AT = datetime(2024, 11, 23, 12, tzinfo=UTC)
CLICK: dict[str, Any] = {
    "event_id": "e-1",
    "type": "conversion",
    "name": "purchase",
    "occurred_at": "2024-11-23T11:59:00Z",
    "unit_ids": {"user": "u-1"},
}
Program = Callable[..., Client]


@pytest.fixture
def program(transactional_db: None) -> Program:
    """`program(environment="")`: a program that may do what operators and compliance may."""

    def make(*, environment: str = "") -> Client:
        text, prefix, secret_hash = tokens.mint()
        ApiToken.objects.create(
            key=f"program-{prefix}", name="A program", prefix=prefix, secret_hash=secret_hash, scopes=["rest"],
            roles=["operator", "compliance"], environment=environment, created_at=AT, created_by="tests",
        )  # fmt: skip
        return Client(headers={"Authorization": f"Bearer {text}"})

    catalog.create_environment(key="production", name="Production", actor=ADMIN, at=AT)
    return make


def quarantine(
    *records: dict[str, Any], environment: str = "production", code: str = "unknown_field"
) -> None:
    """Put records where a refusal with this code would have put them."""
    refusal = Refusal(code, "colour", "there is no such field", "leave it out")
    bad = [
        Bad(refusal, record["event_id"], record["type"], json.dumps(record).encode()) for record in records
    ]
    services.store([Submission(environment, "live", (), tuple(bad))], at=AT)


def test_quarantine__records_of_two_reasons__are_grouped_with_count_and_sample(program: Program) -> None:
    quarantine(CLICK)
    quarantine({**CLICK, "event_id": "e-2"})
    quarantine({**CLICK, "event_id": "e-3"}, code="too_late")

    groups = program().get("/api/v1/quarantine").json()["results"]

    assert [(group["code"], group["records"], group["times_seen"]) for group in groups] == [
        ("unknown_field", 2, 2),
        ("too_late", 1, 1),
    ]
    assert json.loads(groups[0]["sample"]["text"]) == {**CLICK, "event_id": "e-2"}
    assert groups[0]["sample"]["remedy"] == "leave it out"


def test_quarantine__token_of_another_environment__shows_and_says_nothing(program: Program) -> None:
    quarantine(CLICK)
    staging = program(environment="staging")
    number = program().get("/api/v1/quarantine").json()["results"][0]["sample"]["id"]

    assert staging.get("/api/v1/quarantine").json()["results"] == []
    assert staging.get(f"/api/v1/quarantine/{number}").status_code == 404
    assert staging.get("/api/v1/quarantine?environment=production").status_code == 400
    assert program().get(f"/api/v1/quarantine/{number}").json()["event_id"] == "e-1"


def test_redrive__one_record_mended__is_taken_in_and_counted(program: Program) -> None:
    quarantine(CLICK, {**CLICK, "event_id": "e-2", "colour": "red"})

    answer = program().post(
        "/api/v1/quarantine/redrive", {"environment": "production"}, content_type="application/json"
    )

    assert answer.json()["counts"] == {"accepted": 1, "refused": 1}
    assert [error["field"] for error in answer.json()["errors"]] == ["colour"]
    assert list(BufferedEvent.objects.values_list("event_id", flat=True)) == ["e-1"]


def test_redrive__unknown_environment__names_the_known(program: Program) -> None:
    answer = program().post(
        "/api/v1/quarantine/redrive", {"environment": "prod"}, content_type="application/json"
    )

    assert answer.status_code == 400
    assert answer.json()["errors"] == [
        {"field": "environment", "message": "there is no prod", "remedy": "Known: production."}
    ]


def test_erasure__asked_for__is_listed_without_the_id(program: Program) -> None:
    client = program()
    body = {"environment": "production", "unit": "user", "id": "u-1", "reason": "asked by letter"}

    made = client.post("/api/v1/erasures", body, content_type="application/json")

    assert made.status_code == 201
    assert "u-1" not in made.content.decode()
    assert made.json()["subject_hash"] == hashlib.sha256(f"{made.json()['salt']}:u-1".encode()).hexdigest()
    assert client.get("/api/v1/erasures").json()["results"] == [made.json()]
    assert Erasure.objects.get().user_id == "u-1"


@pytest.mark.parametrize(
    ("change", "field"),
    [({"unit": "session"}, "unit"), ({"id": ""}, "id"), ({"reason": " "}, "reason"), ({"who": 1}, "who")],
)
def test_erasure__bad_body__is_refused_and_names_the_field(
    program: Program, change: dict[str, Any], field: str
) -> None:
    body = {"environment": "production", "unit": "user", "id": "u-1", "reason": "asked by letter"}

    answer = program().post("/api/v1/erasures", {**body, **change}, content_type="application/json")

    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert not Erasure.objects.exists()


def test_event_counts__since_a_day__leave_out_the_days_before(program: Program) -> None:
    quarantine(CLICK)
    client = program()

    assert client.get("/api/v1/event-counts?since=2024-11-23").json()["results"] == [
        {
            "environment": "production",
            "day": "2024-11-23",
            "type": "conversion",
            "verdict": "unknown_field",
            "count": 1,
        }
    ]
    assert client.get("/api/v1/event-counts?since=2024-11-24").json()["results"] == []
    assert client.get("/api/v1/event-counts?since=yesterday").json()["errors"][0]["field"] == "since"


def test_retention__made_then_changed__needs_the_version_seen(program: Program) -> None:
    client = program()

    def put(days: int, seen: str) -> Any:
        return client.put(
            "/api/v1/retention/click",
            {"days": days},
            content_type="application/json",
            headers={"If-Match": seen},
        )

    assert put(30, '"1"').status_code == 412
    assert put(30, '"0"').json() == {"type": "click", "days": 30, "row_version": 1}
    assert put(40, '"0"').status_code == 412
    assert put(40, '"1"').json() == {"type": "click", "days": 40, "row_version": 2}
    assert put(0, '"2"').json()["errors"][0]["field"] == "days"
    assert [rule["days"] for rule in client.get("/api/v1/retention").json()["results"]] == [40]
