"""Every refusal over HTTP is one RFC 9457 problem that names the field and the remedy."""

import re
from typing import Any

import orjson
import pytest
from django.contrib.auth.hashers import make_password
from django.db import OperationalError
from django.test import Client
from rest_framework.exceptions import ErrorDetail

from controlplane.core import tokens
from controlplane.core.api.problems import flatten, handle, status_of
from controlplane.core.errors import Conflict, DomainError, FieldError, InvalidInput, Stale
from controlplane.core.models import ApiToken, RoleGrant, SecurityEvent, User
from controlplane.core.policies import ApprovalRequired, NeedsApproval
from tests.core.conftest import AT

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"


class Teapot(Conflict):
    """A kind of conflict that only these tests know."""

    code = "conflict"


def client(roles: list[str], **given: Any) -> Client:
    text, prefix, secret_hash = tokens.mint()
    values: dict[str, Any] = {
        "key": f"t-{prefix}", "name": "T", "prefix": prefix, "secret_hash": secret_hash, "scopes": ["rest"],
        "roles": roles, "created_at": AT, "created_by": "tests",
    }  # fmt: skip
    ApiToken.objects.create(**values | given)
    return Client(raise_request_exception=False, headers={"Authorization": f"Bearer {text}"})


def answer(error: Exception) -> tuple[int, dict[str, Any]]:
    response = handle(error, {"request": None})
    assert response is not None
    assert response.content_type == "application/problem+json"
    return response.status_code, dict(response.data)


def test_flatten__nested_detail__is_dotted_paths() -> None:
    detail = {
        "arms": [{}, {"weight": [ErrorDetail("too big")]}],
        "__all__": ["no"],
        "key": {"x": ["bad", "worse"]},
    }

    assert flatten(detail) == [
        FieldError("arms.1.weight", "too big"),
        FieldError("", "no"),
        FieldError("key.x", "bad"),
        FieldError("key.x", "worse"),
    ]


@pytest.mark.parametrize(
    ("error", "status"),
    [(Teapot("x"), 409), (Stale("x"), 412), (DomainError("x"), 400), (ApprovalRequired([]), 403)],
)
def test_status_of__subclass__is_that_of_its_nearest_ancestor(error: DomainError, status: int) -> None:
    assert status_of(error) == status


def test_handle__invalid_input__carries_each_field() -> None:
    assert answer(InvalidInput.on("arms.0.weight", "is negative", "Use 0 to 10000.")) == (
        400,
        {
            "type": "/problems/invalid_input",
            "title": "The input is not valid",
            "status": 400,
            "detail": "arms.0.weight: is negative",
            "code": "invalid_input",
            "errors": [{"field": "arms.0.weight", "message": "is negative", "remedy": "Use 0 to 10000."}],
            "request_id": "",
        },
    )


def test_handle__approval_required__names_rule_and_role() -> None:
    status, document = answer(ApprovalRequired([NeedsApproval("two people", "approver")]))

    assert (status, document["code"]) == (403, "approval_required")
    assert document["needs"] == [{"rule": "two people", "role": "approver"}]


def test_handle__database_away__asks_to_try_again() -> None:
    response = handle(OperationalError("server closed the connection"), {"request": None})

    assert response is not None
    assert (response.status_code, response["Retry-After"], response.data["code"]) == (503, "5", "unavailable")
    assert "server closed" not in str(response.data)


def test_handle__anything_unexpected__is_left_to_the_server_error() -> None:
    assert handle(ZeroDivisionError(), {"request": None}) is None


def test_unknown_address__is_a_problem() -> None:
    response = Client().get("/api/v1/nothing")

    assert (response.status_code, response["Content-Type"]) == (404, "application/problem+json")
    assert orjson.loads(response.content)["detail"] == "There is nothing at /api/v1/nothing."


@pytest.mark.parametrize(
    ("given", "kept"), [("abcdefgh-1", True), ("short", False), ("x" * 65, False), ("a b\u00e9cdefgh", False)]
)
def test_request_id__well_formed_or_not__is_taken_or_made(given: str, kept: bool) -> None:
    response = Client().get("/api/v1/nothing", headers={"X-Request-Id": given})

    identifier = response["X-Request-Id"]
    assert (identifier == given) is kept
    assert re.fullmatch(r"[A-Za-z0-9._-]{8,64}", identifier)
    assert orjson.loads(response.content)["request_id"] == identifier


def test_unknown_address__written_to__is_a_problem_too() -> None:
    response = Client(enforce_csrf_checks=True).post(
        "/api/v1/nothing/at/all", {}, content_type="application/json"
    )

    assert (response.status_code, response["Content-Type"]) == (404, "application/problem+json")


def test_method_that_is_not_there__is_a_problem() -> None:
    response = client(["viewer"]).delete("/api/v1/findings")

    assert (response.status_code, orjson.loads(response.content)["code"]) == (405, "method_not_allowed")


def test_security_events__by_a_viewer__are_forbidden() -> None:
    assert client(["viewer"]).get("/api/v1/security-events").status_code == 403
    assert client(["compliance"]).get("/api/v1/security-events").status_code == 200


def test_token__public_client_key__opens_no_rest(db: None) -> None:
    response = client([], kind="client", scopes=["events:write"]).get("/api/v1/findings")

    assert (response.status_code, response["WWW-Authenticate"]) == (401, 'Bearer realm="control plane"')
    assert SecurityEvent.objects.get().kind == "token_refused"


def test_token__made_over_rest__shows_its_text_once() -> None:
    admin = client(["operator"])
    body = {"key": "new", "name": "New", "scopes": ["rest"], "roles": ["viewer"]}

    made = admin.post("/api/v1/tokens", body, content_type="application/json")

    text = orjson.loads(made.content)["token"]
    assert (made.status_code, made["Cache-Control"]) == (201, "no-store")
    assert Client(headers={"Authorization": f"Bearer {text}"}).get("/api/v1/findings").status_code == 200
    assert text not in str(admin.get("/api/v1/tokens").content)


def test_session__unsafe_method__needs_the_csrf_token() -> None:
    user = User.objects.create(
        username="ada", is_staff=True, date_joined=AT, password=make_password(PASSWORD)
    )
    RoleGrant.objects.create(user=user, role="admin")
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(user, backend="django.contrib.auth.backends.ModelBackend")

    response = browser.post("/api/v1/tokens", {}, content_type="application/json")

    assert (response.status_code, response["Content-Type"]) == (403, "application/problem+json")
