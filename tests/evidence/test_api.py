"""REST of metrics and stored results."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client

from controlplane.core import services as core
from controlplane.core.actors import Actor
from controlplane.core.models import AuditEvent
from controlplane.evidence.models import Analysis, Metric

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 4, 1, 12, tzinfo=UTC)
ADMIN = Actor(kind="user", id="0", name="root", grants=frozenset({("admin", None)}))
CONTENT = {"kind": "proportion", "event_type": "conversion", "name": "purchase", "aggregation": "any"}


class Caller:
    """Speaks REST with a token of one role."""

    def __init__(self, role: str) -> None:
        token, text = core.create_token(
            key=f"t-{role}", name=role, scopes=["rest"], roles=[role], actor=ADMIN, at=datetime.now(UTC)
        )
        self.name = token.name
        self._client = Client(headers={"Authorization": f"Bearer {text}"})

    def send(self, method: str, path: str, body: Any = None, *, seen: int | None = None) -> Any:
        headers = {} if seen is None else {"If-Match": f'"{seen}"'}
        data = "" if body is None else json.dumps(body)
        return self._client.generic(
            method, f"/api/v1{path}", data, content_type="application/json", headers=headers
        )


@pytest.fixture
def analyst() -> Caller:
    return Caller("analyst")


def test_post_metric__without_environment__in_use_in_production(analyst: Caller) -> None:
    body = {"key": "purchase", "title": "Purchases", "content": CONTENT, "note": "first"}
    answer = analyst.send("POST", "/metrics", body)
    assert answer.status_code == 201, answer.content
    told = answer.json()
    assert (told["key"], told["version"], told["live"], answer["ETag"]) == (
        "purchase",
        1,
        {"production": 1},
        '"1"',
    )
    assert told["content"]["direction"] == "increase"
    assert Metric.objects.get().newest().note == "first"


def test_patch_metric__definition__is_a_new_version_in_use(analyst: Caller) -> None:
    analyst.send("POST", "/metrics", {"key": "purchase", "title": "Purchases", "content": CONTENT})
    changed = {**CONTENT, "window_hours": 48}
    answer = analyst.send("PATCH", "/metrics/purchase", {"content": changed}, seen=1)
    assert answer.status_code == 200, answer.content
    assert (answer.json()["version"], answer.json()["live"]) == (2, {"production": 2})
    assert answer.json()["content"]["window_hours"] == 48


def test_patch_metric__title_alone__keeps_the_definition(analyst: Caller) -> None:
    analyst.send("POST", "/metrics", {"key": "purchase", "title": "Purchases", "content": CONTENT})
    answer = analyst.send("PATCH", "/metrics/purchase", {"title": "Orders"}, seen=1)
    assert (answer.json()["title"], answer.json()["version"]) == ("Orders", 1)


@pytest.mark.parametrize(
    ("seen", "status", "code"), [(None, 428, "precondition_required"), (7, 412, "stale")]
)
def test_patch_metric__without_or_with_another_version__refused(
    analyst: Caller, seen: int | None, status: int, code: str
) -> None:
    analyst.send("POST", "/metrics", {"key": "purchase", "title": "Purchases", "content": CONTENT})
    answer = analyst.send("PATCH", "/metrics/purchase", {"title": "Orders"}, seen=seen)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert Metric.objects.get().title == "Purchases"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"content": {**CONTENT, "kind": "median"}}, "content.kind"),
        ({"content": {**CONTENT, "colour": "red"}}, "content.colour"),
        ({"colour": "red"}, "colour"),
        ({"key": "Not A Key"}, "key"),
        ({"environment": "nowhere"}, "environment"),
    ],
)
def test_post_metric__bad_input__names_the_field_and_writes_nothing(
    analyst: Caller, change: dict[str, Any], field: str
) -> None:
    body = {"key": "purchase", "title": "Purchases", "content": CONTENT, **change}
    answer = analyst.send("POST", "/metrics", body)
    assert answer.status_code == 400, answer.content
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert not Metric.objects.exists()


def test_post_metric__as_viewer__forbidden_and_nothing_written(analyst: Caller) -> None:
    answer = Caller("viewer").send(
        "POST", "/metrics", {"key": "purchase", "title": "Purchases", "content": CONTENT}
    )
    assert answer.status_code == 403
    assert not Metric.objects.exists()
    assert not AuditEvent.objects.filter(operation="evidence.create_metric").exists()


def stored(subject: str, *, result: dict[str, Any] | None = None) -> Analysis:
    return Analysis.objects.create(
        subject=subject,
        environment="production",
        as_of=NOW,
        population={},
        request={},
        method="test",
        version=1,
        alpha=0.05,
        inputs_digest="0" * 64,
        sql="SELECT 1",
        result=result or {},
        created_at=NOW,
        created_by="ana",
    )


def test_get_analyses__of_a_subject__newest_first_without_their_numbers(analyst: Caller) -> None:
    first, _, third = stored("experiments.experiment:a"), stored("x:b"), stored("experiments.experiment:a")
    told = analyst.send("GET", "/analyses?subject=experiments.experiment:a").json()
    assert [row["id"] for row in told["results"]] == [third.pk, first.pk]
    assert {"sql", "result"}.isdisjoint(told["results"][0])


def test_get_analysis__by_number__its_numbers_and_sql(analyst: Caller) -> None:
    row = stored("experiments.experiment:a", result={"units": 7})
    told = analyst.send("GET", f"/analyses/{row.pk}").json()
    assert (told["result"], told["sql"]) == ({"units": 7}, "SELECT 1")


def test_get_analyses__nul_byte_in_the_subject__names_the_field(analyst: Caller) -> None:
    answer = analyst.send("GET", "/analyses?subject=%00")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "subject")
