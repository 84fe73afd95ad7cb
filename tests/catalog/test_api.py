"""The catalogue over REST: what is accepted, what is refused, and how a refusal speaks."""

import gzip
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from controlplane.catalog.api import uploads
from controlplane.catalog.models import Attribute, Environment, Item, Surface
from controlplane.core.models import ApiToken, AuditEvent, SecurityEvent
from tests.catalog.conftest import Program, upload

pytestmark = pytest.mark.django_db

Persona = Callable[[str], Program]
NDJSON = "application/x-ndjson"


def problem(response: Any, status: int, code: str) -> dict[str, Any]:
    """The problem document of a refusal, checked for its form."""
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    document: dict[str, Any] = orjson.loads(response.content)
    assert (document["status"], document["code"], document["type"]) == (status, code, f"/problems/{code}")
    assert document["title"]
    assert document["detail"]
    assert document["request_id"] == response["X-Request-Id"]
    return document


def test_environments__create_read_save__carry_versions(program: Persona) -> None:
    operator = program("operator")

    made = operator.send("POST", "environments", {"key": "qa", "name": "QA", "colour": "#00ff00"})
    assert (made.status_code, made["ETag"]) == (201, '"1"')
    saved = operator.send("PATCH", "environments/qa", {"protected": True}, version=1)
    assert (saved.status_code, saved["ETag"]) == (200, '"2"')
    read = operator.get("environments/qa")
    assert orjson.loads(read.content) == orjson.loads(saved.content)
    assert {
        name: orjson.loads(read.content)[name] for name in ("key", "name", "kind", "colour", "protected")
    } == {"key": "qa", "name": "QA", "kind": "staging", "colour": "#00ff00", "protected": True}


@pytest.mark.django_db(transaction=True)  # publishing needs real transactions
def test_surfaces__create_save_publish_withdraw__tell_what_is_live(
    program: Persona, production: Environment
) -> None:
    operator = program("operator")

    made = operator.send(
        "POST", "surfaces", {"key": "feed", "title": "Feed", "content": {"kind": "home-feed"}}
    )
    assert made.status_code == 201
    assert orjson.loads(made.content)["owner"] == "A program"
    saved = operator.send("PATCH", "surfaces/feed", {"content": {"slots": 4}, "note": "fewer"}, version=1)
    assert orjson.loads(saved.content)["version"] == 2
    live = operator.send(
        "POST", "surfaces/feed/publish", {"environment": "production", "version": 1}, version=2
    )
    body = orjson.loads(live.content)
    assert (live.status_code, live["ETag"], body["live"]) == (200, '"3"', {"production": 1})
    assert body["ruleset"]["environment"] == "production"
    versions = orjson.loads(operator.get("surfaces/feed/versions").content)
    assert [(version["number"], version["note"]) for version in versions] == [(2, "fewer"), (1, "")]
    gone = operator.send("POST", "surfaces/feed/withdraw", {"environment": "production"}, version=3)
    assert orjson.loads(gone.content)["live"] == {}


@pytest.mark.django_db(transaction=True)  # publishing needs real transactions
def test_audiences__create_and_publish__as_merchandiser(program: Persona, production: Environment) -> None:
    merchandiser = program("merchandiser")
    body = {"key": "de", "title": "Germans", "content": {"condition": {"country": "DE"}}}

    assert merchandiser.send("POST", "audiences", body).status_code == 201
    live = merchandiser.send("POST", "audiences/de/publish", {"environment": "production"}, version=1)

    assert orjson.loads(live.content)["live"] == {"production": 1}


def test_attributes__create_search_save__by_subject_and_name(program: Persona) -> None:
    operator = program("operator")
    for name in ("brand", "price"):
        operator.send("POST", "attributes", {"subject": "item", "name": name, "type": "string"})
    operator.send("POST", "attributes", {"subject": "request", "name": "brand_seen", "type": "boolean"})

    found = orjson.loads(operator.get("attributes?subject=item&q=bra").content)
    assert [row["key"] for row in found["results"]] == ["item.brand"]
    saved = operator.send("PATCH", "attributes/item.price", {"type": "number"}, version=1)
    assert orjson.loads(saved.content)["type"] == "number"
    assert orjson.loads(operator.get("attributes/item.price").content)["source"] == "edited"


def test_items__searched_and_filtered__in_order_of_id(program: Persona, db: None) -> None:
    upload(
        {"item_id": "b", "title": "Blue shoe", "provider": "acme"},
        {"item_id": "a", "title": "Red SHOE", "available": False},
        {"item_id": "c", "title": "Hat"},
        {"item_id": "d", "title": "Old shoe", "deleted": True},
    )
    viewer = program("viewer")

    def ids(query: str) -> list[str]:
        return [row["item_id"] for row in orjson.loads(viewer.get(f"items?{query}").content)["results"]]

    assert ids("") == ["a", "b", "c"]
    assert ids("q=shoe") == ["a", "b"]
    assert ids("available=true") == ["b", "c"]
    assert ids("provider=acme") == ["b"]
    assert ids("deleted=true") == ["d"]
    assert orjson.loads(viewer.get("items/b").content)["title"] == "Blue shoe"


def test_bulk__gzip_with_a_bad_line__answers_with_counts_and_reasons(program: Persona) -> None:
    body = gzip.compress(b'{"item_id": "a"}\n{"item_id": "b", "title": 1}\n', mtime=0)

    answer = program("operator").send(
        "POST", "items/bulk", body, content_type=NDJSON, headers={"Content-Encoding": "gzip"}
    )

    assert answer.status_code == 200
    assert orjson.loads(answer.content) == {
        "created": 1,
        "updated": 0,
        "unchanged": 0,
        "refused": 1,
        "errors": [
            {
                "line": 2,
                "item_id": "b",
                "field": "title",
                "reason": "is not a text of at most 300 characters",
                "remedy": "Shorten it or leave it out.",
            }
        ],
    }


def test_bulk__report_of_lines__tells_every_line(program: Persona) -> None:
    answer = program("operator").send(
        "POST", "items/bulk?report=lines", b'{"item_id": "a"}\nx\n', content_type=NDJSON
    )

    told = [orjson.loads(line) for line in answer.content.splitlines()]
    assert answer["Content-Type"] == NDJSON
    assert told[0] == {"line": 1, "item_id": "a", "verdict": "created"}
    assert (told[1]["line"], told[1]["verdict"]) == (2, "refused")


@pytest.mark.parametrize(
    ("body", "headers", "content_type", "status", "code"),
    [
        (b"", {}, NDJSON, 400, "invalid_input"),
        (b"\x1f\x8b broken", {"Content-Encoding": "gzip"}, NDJSON, 400, "invalid_input"),
        (
            gzip.compress(b'{"item_id": "a"}\n' * 9, mtime=0)[:-9],
            {"Content-Encoding": "gzip"},
            NDJSON,
            400,
            "invalid_input",
        ),
        (b'{"item_id": "a"}', {"Content-Encoding": "br"}, NDJSON, 415, "unsupported_media_type"),
        (b'{"item_id": "a"}', {}, "application/json", 415, "unsupported_media_type"),
        (b'{"item_id": "a"}', {}, "text/csv", 415, "unsupported_media_type"),
    ],
)
def test_bulk__body_unreadable_as_a_whole__takes_in_nothing(
    program: Persona, body: bytes, headers: dict[str, str], content_type: str, status: int, code: str
) -> None:
    answer = program("operator").send("POST", "items/bulk", body, content_type=content_type, headers=headers)

    problem(answer, status, code)
    assert (Item.objects.count(), AuditEvent.objects.count()) == (0, 0)


def test_bulk__too_large_plain_or_unpacked__is_413(program: Persona, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MAX_SENT", 2_000)
    monkeypatch.setattr(uploads, "MAX_UNPACKED", 10_000)
    bomb = gzip.compress(b'{"item_id": "a"}\n' * 5_000, mtime=0)
    operator = program("operator")

    problem(operator.send("POST", "items/bulk", b"x" * 2_001, content_type=NDJSON), 413, "body_too_large")
    packed = operator.send(
        "POST", "items/bulk", bomb, content_type=NDJSON, headers={"Content-Encoding": "gzip"}
    )
    problem(packed, 413, "body_too_large")
    assert Item.objects.count() == 0


@pytest.mark.django_db(transaction=True)  # the security log needs real transactions
def test_bulk__by_a_viewer__is_forbidden_and_logged(program: Persona) -> None:
    viewer = program("viewer")

    problem(viewer.send("POST", "items/bulk", b'{"item_id": "a"}', content_type=NDJSON), 403, "forbidden")

    assert Item.objects.count() == 0
    assert list(SecurityEvent.objects.values_list("kind", "operation", "actor_id")) == [
        ("refused", "catalog.upsert_items", viewer.prefix)
    ]


MALFORMED = [
    (b"", "invalid_input"),
    (b"{", "invalid_input"),
    (b'{"key": "a", "key": "b"}', "invalid_input"),
    (b'{"key": NaN}', "invalid_input"),
    (b'{"key": "\\u0000"}', "invalid_input"),
    (b'{"key": "\\ud800"}', "invalid_input"),
    (b'{"key": "\xff"}', "invalid_input"),
    (b'{"key": ' + b"[" * 50 + b"]" * 50 + b"}", "invalid_input"),
    (b"[" * 100_000, "invalid_input"),
    (b'{"key": 123456789012345678901234567890}', "invalid_input"),
    (b"[]", "invalid_input"),
    (b'"text"', "invalid_input"),
    (b"null", "invalid_input"),
    (b"7", "invalid_input"),
    (b'{"key": {}, "title": [], "name": {}, "content": [], "subject": {}, "type": []}', "invalid_input"),
    (b'{"key": "UPPER", "title": "", "name": "", "content": "x"}', "invalid_input"),
    (b'{"key": "ok", "title": "t", "name": "n", "content": {}, "surprise": 1}', "invalid_input"),
    (b'{"key": null, "title": null, "name": null, "content": null}', "invalid_input"),
    (b'{"key": true, "title": 1e400}', "invalid_input"),
]


@pytest.mark.parametrize("path", ["environments", "surfaces", "audiences", "attributes"])
@pytest.mark.parametrize(("body", "code"), MALFORMED, ids=[str(number) for number in range(len(MALFORMED))])
def test_create__malformed_body__is_a_problem_and_writes_nothing(
    program: Persona, path: str, body: bytes, code: str
) -> None:
    document = problem(program("operator").send("POST", path, body), 400, code)

    if code == "invalid_input":
        assert document["errors"]
        assert all(set(error) == {"field", "message", "remedy"} for error in document["errors"])
    written = (Environment.objects.count(), Surface.objects.count(), Attribute.objects.count())
    assert (*written, AuditEvent.objects.count()) == (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("surfaces/home-feed", {"title": "x" * 161}, 400, "invalid_input"),
        ("surfaces/home-feed", {"title": "nul \x00"}, 400, "invalid_input"),
        ("surfaces/home-feed", {"salt": "mine"}, 400, "invalid_input"),
        ("surfaces/home-feed", {"content": {"slots": "six"}}, 400, "invalid_input"),
        ("surfaces/home-feed/publish", {}, 400, "invalid_input"),
        ("surfaces/home-feed/publish", {"environment": "nowhere"}, 400, "invalid_input"),
        ("surfaces/home-feed/publish", {"environment": "production", "version": 0}, 400, "invalid_input"),
        ("surfaces/home-feed/publish", {"environment": "production", "version": 2**40}, 400, "invalid_input"),
        ("surfaces/home-feed/publish", {"environment": "production", "version": "x"}, 400, "invalid_input"),
        ("surfaces/home-feed/withdraw", {"environment": "production"}, 409, "conflict"),
        ("surfaces/ghost/publish", {"environment": "production"}, 404, "not_found"),
        ("surfaces/%00/publish", {"environment": "production"}, 400, "invalid_input"),
        ("environments/production", {"colour": "red"}, 400, "invalid_input"),
        ("environments/production", {"colour": "#00ff00\n"}, 200, ""),
        ("environments/production", {"kind": "qa"}, 400, "invalid_input"),
        ("environments/production", {"key": "other"}, 400, "invalid_input"),
    ],
)
def test_write__wrong_in_detail__is_refused_and_changes_nothing(
    program: Persona, feed: Surface, path: str, body: dict[str, Any], status: int, code: str
) -> None:
    events = AuditEvent.objects.count()
    method = "POST" if path.endswith(("publish", "withdraw")) else "PATCH"

    answer = program("operator").send(method, path, body, version=1)

    if status == 200:  # the serializer trims what surrounds a value
        assert (answer.status_code, Environment.objects.get().colour) == (200, "#00ff00")
        return
    problem(answer, status, code)
    assert AuditEvent.objects.count() == events
    assert feed.pointers.count() == 0


@pytest.mark.parametrize(
    ("header", "status", "code"),
    [
        (None, 428, "precondition_required"),
        ('"7"', 412, "stale"),
        ("*", 400, "invalid_input"),
        ('"x"', 400, "invalid_input"),
    ],
)
def test_save__if_match_missing_stale_or_odd__is_refused(
    program: Persona, feed: Surface, header: str | None, status: int, code: str
) -> None:
    headers = {} if header is None else {"If-Match": header}

    document = problem(
        program("operator").send("PATCH", "surfaces/home-feed", {"title": "New"}, headers=headers),
        status,
        code,
    )

    assert Surface.objects.get().title == "Home feed"
    if code == "stale":
        assert (document["row_version"], document["expected"]) == (1, 7)


def test_create__body_larger_than_the_limit__is_413(program: Persona) -> None:
    body = b'{"key": "' + b"x" * settings.DATA_UPLOAD_MAX_MEMORY_SIZE + b'"}'

    problem(program("operator").send("POST", "surfaces", body), 413, "body_too_large")


@pytest.mark.parametrize(
    "path",
    [
        "items?available=maybe",
        "items?deleted=1",
        "items?provider=" + "x" * 201,
        "attributes?subject=user",
    ],
)
def test_list__filter_wrong__names_it(program: Persona, path: str) -> None:
    document = problem(program("viewer").get(path), 400, "invalid_input")

    assert [error["field"] for error in document["errors"]] == [path.partition("?")[2].partition("=")[0]]


@pytest.mark.parametrize(
    "path", ["items?page=0", "items?page=99", "items?page=x", "items/ghost", "attributes/x"]
)
def test_read__nothing_there__is_not_found(program: Persona, path: str) -> None:
    problem(program("viewer").get(path), 404, "not_found")


@pytest.mark.parametrize(
    "path",
    ["items/%00", "items?q=%00", "attributes?subject=%00", "findings?subject=%00", "surfaces/a%00b/versions"],
)
def test_address__with_a_nul_character__is_refused(program: Persona, path: str) -> None:
    problem(program("viewer").get(path), 400, "invalid_input")


def test_anybody__without_token_or_with_a_wrong_one__is_not_let_in(program: Persona) -> None:
    stranger = Client(raise_request_exception=False)
    forger = Client(
        raise_request_exception=False, headers={"Authorization": f"Bearer cp_12345678_{'x' * 43}"}
    )

    problem(stranger.get("/api/v1/surfaces"), 401, "not_authenticated")
    problem(forger.get("/api/v1/surfaces"), 401, "not_authenticated")

    assert SecurityEvent.objects.get().kind == "token_refused"


@pytest.mark.django_db(transaction=True)  # publishing needs real transactions
def test_lists__more_rows__take_no_more_queries(program: Persona, production: Environment) -> None:
    operator = program("operator")
    paths = ("environments", "surfaces", "audiences", "attributes", "items")
    ApiToken.objects.update(last_used_at="2999-01-01T00:00Z")

    def queries() -> dict[str, int]:
        counts = {}
        for path in paths:
            with CaptureQueriesContext(connection) as captured:
                assert operator.get(path).status_code == 200
            counts[path] = len(captured)
        return counts

    def grow(number: int) -> None:
        operator.send("POST", "surfaces", {"key": f"s{number}", "title": "S", "content": {}})
        operator.send("POST", f"surfaces/s{number}/publish", {"environment": "production"}, version=1)
        condition = {"condition": {"country": "DE"}}
        operator.send("POST", "audiences", {"key": f"a{number}", "title": "A", "content": condition})
        upload({"item_id": f"i{number}", "attributes": {f"n{number}": 1}})

    grow(1)
    few = queries()
    for number in range(2, 6):
        grow(number)

    assert (
        queries()
        == few
        == {
            "environments": 3,
            "surfaces": 6,
            "audiences": 5,
            "attributes": 3,
            "items": 3,
        }
    )
