"""The life of an override over REST: made, refused, edited against another, live in a revision, withdrawn."""

import json
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from controlplane.core import tokens
from controlplane.core.models import ApiToken, AuditEvent
from controlplane.rulesets import selectors as rulesets
from controlplane.rulesets import services as publishing
from tests.overrides.conftest import AT, BOOST, pin, stock

pytestmark = pytest.mark.django_db(transaction=True)


class Program:
    """A program with one role that speaks JSON."""

    def __init__(self, role: str, *surfaces: str) -> None:
        text, prefix, secret_hash = tokens.mint()
        ApiToken.objects.create(
            key=f"program-{prefix}", name=f"A {role}", prefix=prefix, secret_hash=secret_hash, scopes=["rest"],
            roles=[role], surfaces=list(surfaces), created_at=timezone.now(), created_by="tests",
        )  # fmt: skip
        self._client = Client(raise_request_exception=False, headers={"Authorization": f"Bearer {text}"})

    def send(self, method: str, path: str, body: Any = None, *, version: int | None = None) -> Any:
        match = {} if version is None else {"If-Match": f'"{version}"'}
        answer: HttpResponse = self._client.generic(  # type: ignore[assignment]  # the client adds to HttpResponse
            method, f"/api/v1/{path}", json.dumps({} if body is None else body), content_type="application/json",
            headers=match,
        )  # fmt: skip
        return answer


@pytest.fixture
def served(transactional_db: None) -> None:
    stock()
    publishing.publish("production", cause="test", at=AT)


def test_override__whole_life__is_served_and_withdrawn(served: None) -> None:
    program = Program("merchandiser")
    identity = {
        "key": "launch",
        "title": "Launch",
        "content": pin("e", windows=[[None, "2099-01-01T00:00:00Z"]]),
    }

    made = program.send("POST", "overrides", identity)
    assert (made.status_code, made.json()["live"], made["ETag"]) == (201, {}, '"1"')

    unread = program.send("PATCH", "overrides/launch", {"title": "Other"})
    assert (unread.status_code, unread.json()["code"]) == (428, "precondition_required")

    edited = program.send(
        "PATCH", "overrides/launch", {"content": {**made.json()["content"], "position": 2}}, version=1
    )
    assert (edited.status_code, edited.json()["version"], edited["ETag"]) == (200, 2, '"2"')

    stale = program.send("PATCH", "overrides/launch", {"title": "Other"}, version=1)
    assert (stale.status_code, stale.json()["code"], stale.json()["row_version"]) == (412, "stale", 2)

    live = program.send("POST", "overrides/launch/publish", {"environment": "production"}, version=2)
    assert live.json()["ruleset"] == {"environment": "production", "revision": 2, "status": "published"}
    feed = rulesets.sections(rulesets.head("production"))["surface:feed"]
    assert [(body["key"], body["version"], body["position"]) for body in feed["overrides"]] == [
        ("launch", 2, 2)
    ]

    gone = program.send("POST", "overrides/launch/withdraw", {"environment": "production"}, version=3)
    assert gone.json()["ruleset"]["revision"] == 3
    assert rulesets.sections(rulesets.head("production"))["surface:feed"]["overrides"] == []


@pytest.mark.parametrize(
    ("content", "errors"),
    [
        (
            {**BOOST, "factor": "2", "surfaces": ["fed"]},
            [("content.factor", "is not a finite number", "Write a number from 1 to 100.")],
        ),
        (
            {**BOOST, "surfaces": ["fed"]},
            [("content.surfaces", "there is no surface fed", "Name an existing surface, or add it first.")],
        ),
        (
            {**BOOST, "windows": [["2026-03-02T00:00:00Z", "2026-03-01T00:00:00Z"]]},
            [("content.windows.0", "ends before it starts", "Put the earlier time first.")],
        ),
        (
            {**BOOST, "factr": 2},
            [("content.factr", "there is no such field", None)],
        ),
    ],
)
def test_create__content_wrong__is_a_problem_that_names_field_and_remedy(
    served: None, content: dict[str, Any], errors: list[tuple[str, str, str | None]]
) -> None:
    events = AuditEvent.objects.count()

    answer = Program("merchandiser").send("POST", "overrides", {"key": "x", "title": "X", "content": content})

    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
    told = [(one["field"], one["message"], one["remedy"]) for one in answer.json()["errors"]]
    assert [(field, message) for field, message, _ in told] == [
        (field, message) for field, message, _ in errors
    ]
    assert all(remedy in (None, said) for (_, _, remedy), (_, _, said) in zip(errors, told, strict=True))
    assert AuditEvent.objects.count() == events


@pytest.mark.parametrize(
    "body", [b"{", b'{"key": "x", "key": "y"}', b'{"key": NaN}', b"[]", b'{"key": "\\u0000"}']
)
def test_create__body_is_no_document__is_a_problem(served: None, body: bytes) -> None:
    program = Program("merchandiser")

    answer = program._client.post("/api/v1/overrides", body, content_type="application/json")

    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")


def test_create__token_on_one_surface__reaches_no_other(served: None) -> None:
    program = Program("merchandiser", "search")

    theirs = program.send("POST", "overrides", {"key": "x", "title": "X", "content": dict(BOOST)})
    own = program.send(
        "POST", "overrides", {"key": "y", "title": "Y", "content": {**BOOST, "surfaces": ["search"]}}
    )

    assert (theirs.status_code, theirs.json()["code"], own.status_code) == (403, "forbidden", 201)
