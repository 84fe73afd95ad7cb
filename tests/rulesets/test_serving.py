"""Serving over real HTTP: what is answered to whom, in which bytes, and how soon a change arrives."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import brotli
import httpx
import pytest
import zstandard

from controlplane.core import services as core
from controlplane.core.actors import Actor
from controlplane.core.models import ApiToken
from controlplane.engine import Ruleset
from controlplane.engine.validate import check_document
from controlplane.rulesets import services
from tests.rulesets import sources
from tests.rulesets.running import ROOT, Serve, until
from tests.rulesets.sources import NOW

ADMIN = Actor(kind="user", id="1", name="Ada", grants=frozenset({("admin", None)}))
PATH = "/api/v1/ruleset"


def token(key: str = "recommender", *, surfaces: tuple[str, ...] = (), scope: str = "ruleset:read") -> str:
    _, text = core.create_token(
        key=key,
        name=key,
        actor=ADMIN,
        at=datetime.now(UTC),
        scopes=[scope],
        environment="production",
        surfaces=surfaces,
    )
    return text


def publish() -> services.Published:
    return services.publish("production", cause="test", at=NOW)


@pytest.fixture
def serve(production: str, tmp_path: Path) -> Iterator[Serve]:
    sources.surface("email")
    sources.boost("summer", 1.2)
    publish()
    with Serve(tmp_path) as running:
        yield running


def raw(answer: httpx.Response) -> bytes:
    """The body as it came over the wire."""
    return b"".join(answer.iter_raw())


def stream(serve: Serve, text: str, **headers: str) -> tuple[httpx.Response, bytes]:
    sent = {
        "authorization": f"Bearer {text}",
        **{name.replace("_", "-"): one for name, one in headers.items()},
    }
    with serve.http.stream("GET", PATH, headers=sent) as answer:
        return answer, raw(answer)


def recognised(serve: Serve, text: str) -> None:
    until(lambda: serve.ruleset(text).status_code == 200, seconds=3, what="the token's recognition")


def test_poll__every_encoding__the_same_document_under_its_own_strong_tag(serve: Serve) -> None:
    text = token()
    recognised(serve, text)
    decode = {
        "identity": bytes,
        "gzip": gzip.decompress,
        "br": brotli.decompress,
        "zstd": lambda body: zstandard.ZstdDecompressor().decompressobj().decompress(body),
    }
    bodies, tags = {}, {}
    for name, decoder in decode.items():
        answer, body = stream(serve, text, accept_encoding=name)
        assert answer.status_code == 200
        assert answer.headers.get("content-encoding", "identity") == name
        assert answer.headers["content-length"] == str(len(body))
        assert answer.headers["vary"] == "Accept-Encoding, Authorization"
        assert answer.headers["cache-control"] == "private, no-cache"
        assert answer.headers["content-type"] == "application/json"
        bodies[name], tags[name] = decoder(body), answer.headers["etag"]

    assert len(set(bodies.values())) == 1
    assert len(set(tags.values())) == 4
    assert all(tag.startswith('"') and tag.endswith('"') for tag in tags.values())
    document = json.loads(bodies["identity"])
    assert check_document(document) == []
    assert Ruleset.from_document(document).surfaces == ("email", "home-feed")


def test_poll__what_the_client_has__is_answered_304(serve: Serve) -> None:
    text = token()
    recognised(serve, text)
    first = serve.ruleset(text)
    tag = first.headers["etag"]
    for sent in (tag, f"W/{tag}", f'"other", {tag}', "*", f'"a,b",{tag} , "c"'):
        answer = serve.ruleset(text, if_none_match=sent)
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == tag
        assert answer.headers["vary"] == "Accept-Encoding, Authorization"
        assert answer.headers["cache-control"] == "private, no-cache"
    for sent in ('"other"', tag.replace('"', ""), f'{tag[:-1]}-gzip"'):
        assert serve.ruleset(text, if_none_match=sent).status_code == 200
    other_bytes = serve.ruleset(text, if_none_match=tag, accept_encoding="gzip")
    assert other_bytes.status_code == 200


def test_head__as_get_without_the_body(serve: Serve) -> None:
    text = token()
    recognised(serve, text)
    headers = {"authorization": f"Bearer {text}", "accept-encoding": "br"}
    get, body = stream(serve, text, accept_encoding="br")
    head = serve.http.head(PATH, headers=headers)

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(body))
    compared = ("etag", "vary", "cache-control", "content-type", "content-encoding")
    assert {name: head.headers[name] for name in compared} == {name: get.headers[name] for name in compared}
    unchanged = serve.http.head(PATH, headers={**headers, "if-none-match": get.headers["etag"]})
    assert unchanged.status_code == 304


def test_poll__no_encoding_is_acceptable__406(serve: Serve) -> None:
    text = token()
    recognised(serve, text)
    answer = serve.ruleset(text, accept_encoding="identity;q=0, *;q=0")
    assert (answer.status_code, answer.json()["code"]) == (406, "not_acceptable")


@pytest.mark.parametrize(
    "sent", ["", "Bearer", "Bearer nonsense", "Basic cp_aaaaaaaa_x", "Bearer cp_aaaaaaaa_" + "x" * 43]
)
def test_poll__without_a_valid_token__is_401_and_says_nothing(serve: Serve, sent: str) -> None:
    answer = serve.http.get(PATH, headers={"authorization": sent} if sent else {})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"] == "Send a valid token: Authorization: Bearer cp_…"


@pytest.mark.parametrize(
    "headers",
    [
        {"if-none-match": '"' * 999},
        {"if-none-match": "W/"},
        {"accept-encoding": ";;q=,gzip;q=abc,br;q=-1,*;q=1e9,"},
        {"accept-encoding": "gzip;q=NaN, identity"},
        {"range": "bytes=5-1"},
        {"x-request-id": "x" * 4_000},
        {"accept": "text/nothing"},
    ],
)
def test_poll__odd_headers__are_answered_with_the_document(serve: Serve, headers: dict[str, str]) -> None:
    text = token("odd")
    recognised(serve, text)
    answer = serve.http.get(f"{PATH}?x=%00&x=%FF", headers={"authorization": f"Bearer {text}", **headers})

    assert (answer.status_code, answer.json()["manifest"]["environment"]) == (200, "production")


def test_other_requests__are_refused_in_the_right_words(serve: Serve) -> None:
    writer = token("writer", scope="events:write")
    until(lambda: serve.ruleset(writer).status_code == 403, seconds=3, what="the writer's recognition")
    assert serve.ruleset(writer).json()["code"] == "forbidden"
    wrong = serve.http.post(PATH)
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "GET, HEAD")
    assert serve.http.post("/healthz").status_code == 405
    assert serve.http.get("/api/v1/experiments").status_code == 404
    assert serve.http.get("/").status_code == 404


def test_poll__token_of_one_surface__gets_shared_and_that_surface(serve: Serve) -> None:
    text = token("mail", surfaces=("email", "not-there"))
    recognised(serve, text)
    document = serve.ruleset(text).json()

    assert sorted(document["sections"]) == ["shared", "surface:email"]
    assert sorted(document["manifest"]["sections"]) == ["shared", "surface:email", "surface:home-feed"]
    assert Ruleset.from_document(document).surfaces == ("email",)


def test_publish__a_new_head__arrives_within_a_second(serve: Serve) -> None:
    text = token()
    recognised(serve, text)
    before = serve.ruleset(text)
    sources.boost("summer", 1.9)
    assert publish().revision == 2

    def newer() -> bool:
        return bool(serve.ruleset(text, if_none_match=before.headers["etag"]).status_code == 200)

    until(newer, seconds=1, what="the new head")
    assert serve.ruleset(text).json()["manifest"]["revision"] == 2


def test_tokens__revoked_and_rotated__take_effect_at_once(serve: Serve) -> None:
    text = token()
    recognised(serve, text)
    row = ApiToken.objects.get(key="recommender")
    row, rotated = core.rotate_token(token=row, actor=ADMIN, at=datetime.now(UTC))
    recognised(serve, rotated)
    assert serve.ruleset(text).status_code == 200  # for its day of grace

    core.revoke_token(token=row, actor=ADMIN, at=datetime.now(UTC))
    until(lambda: serve.ruleset(rotated).status_code == 401, seconds=2, what="the end of the token")
    assert serve.ruleset(text).status_code == 401


def test_environment_without_a_revision__is_404(production: str, tmp_path: Path) -> None:
    with Serve(tmp_path) as serve:
        text = token()
        until(lambda: serve.ruleset(text).status_code == 404, seconds=3, what="the token's recognition")
        assert serve.ruleset(text).json()["detail"] == "Nothing has been published to this environment yet."


def test_events__posted_to_serve__are_taken_in(serve: Serve) -> None:
    text = token("writer", scope="events:write")
    until(lambda: serve.ruleset(text).status_code == 403, seconds=3, what="the token's recognition")
    event = {
        "event_id": "e-1",
        "type": "click",
        "surface": "home-feed",
        "occurred_at": datetime.now(UTC).isoformat(),
        "unit_ids": {"user": "u1"},
        "item_id": "a",
    }
    answer = serve.http.post("/api/v1/events", json=event, headers={"authorization": f"Bearer {text}"})

    assert answer.status_code == 202, answer.text
    assert (answer.json()["accepted"], answer.json()["quarantined"]) == (1, 0)
    stranger = serve.http.post(
        "/api/v1/events",
        json={**event, "event_id": "e-2", "surface": "cellar"},
        headers={"authorization": f"Bearer {text}"},
    )
    assert stranger.json()["quarantined"] == 1


def test_metrics__count_requests_and_name_the_head(serve: Serve) -> None:
    text = token()
    recognised(serve, text)
    tag = serve.ruleset(text).headers["etag"]
    for _ in range(3):
        serve.ruleset(text, if_none_match=tag)
    lines = serve.http.get("/metrics").text.splitlines()

    assert 'controlplane_serve_requests_total{route="/api/v1/ruleset",status="304"} 3.0' in lines
    assert 'controlplane_serve_head_revision{environment="production"} 1.0' in lines
    assert "controlplane_serve_database_up 1.0" in lines


def test_sigterm__with_connections_open__ends_at_once(serve: Serve) -> None:
    text = token()
    recognised(serve, text)  # httpx keeps its connection open
    seconds, code = serve.stop()

    assert code == 0
    assert seconds < 3
    assert "Traceback" not in serve.log()


def test_serve__imports__no_admin_and_no_rest_framework() -> None:
    script = "import sys, controlplane.serve; print('\\n'.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert "controlplane.events.ingest" in loaded
    unwanted = {
        "rest_framework",
        "drf_spectacular",
        "axes",
        "unfold.admin",
        "django.contrib.admin",
        "django.contrib.auth",
    }
    assert loaded & unwanted == set()
