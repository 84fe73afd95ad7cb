"""What the web process tells and to whom: headers on every page, tokens, secrets, error pages, host names."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path
from pytest_django import Settings

from controlplane import urls as product_urls
from controlplane.core import tokens
from controlplane.core.models import ApiToken, AuditEvent, SecurityEvent, User
from tests.contract.conftest import Persona
from tests.contract.recipes import RECIPES
from tests.contract.routes import Route, api_routes
from tests.contract.test_pages import addresses, populate
from tests.contract.worlds import World

ROOT = Path(__file__).resolve().parents[2]
SECRET = "the inner life of the program"


def directives(policy: str) -> dict[str, list[str]]:
    return {words[0]: words[1:] for part in policy.split(";") if (words := part.split())}


def header_faults(answer: Any) -> list[str]:
    """Which protections a page lacks."""
    found = []
    csp = directives(answer.get("Content-Security-Policy", ""))
    if not csp or any("'unsafe-inline'" in words or "*" in words for words in csp.values()):
        found.append(f"policy {csp}")
    if [csp.get(name) for name in ("object-src", "frame-ancestors")] != [["'none'"]] * 2:
        found.append("may embed or be embedded")
    wanted = {
        "X-Frame-Options": "DENY",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
    }
    return found + [
        f"{name}: {answer.get(name)}" for name, value in wanted.items() if answer.get(name) != value
    ]


def test_pages__all__carry_the_protecting_headers_and_no_inline_code(world: World, person: Persona) -> None:
    admin = person("admin")
    populate(world, admin)
    found = {}
    for address in [*addresses(world), "/login/"]:
        client = Client() if address == "/login/" else admin
        answer = client.get(address)
        faults = header_faults(answer)
        if answer.status_code == 200 and "text/html" in answer["Content-Type"]:
            text = answer.content.decode()
            nonce = re.search(r"'nonce-([^']+)'", answer["Content-Security-Policy"])
            inline = [tag for tag in re.findall(r"<(?:script|style)\b[^>]*>", text) if "src=" not in tag]
            blocks = [tag for tag in inline if "application/json" not in tag]
            faults += [f"inline {tag}" for tag in blocks if not nonce or f'nonce="{nonce[1]}"' not in tag]
            faults += [
                f"handler {tag}" for tag in re.findall(r"<[^>]+\son(?:click|load|error|submit|change)=", text)
            ]
        if faults:
            found[address] = sorted(set(faults))

    assert found == {}


def test_api__answers__carry_the_protecting_headers(person: Persona) -> None:
    assert header_faults(person("admin").get("/api/v1/tokens")) == []
    assert header_faults(Client().get("/api/v1/nothing")) == []


SECURE_PROBE = """
import json, django
django.setup()
from django.conf import settings
from django.test import Client
answers = {}
for secure in (False, True):
    answer = Client(headers={"host": "controlplane.example"}).get("/healthz", secure=secure)
    answers["https" if secure else "http"] = [
        answer.status_code, answer.get("Location", ""), answer.get("Strict-Transport-Security", "")]
names = ("SESSION_COOKIE_SECURE", "SESSION_COOKIE_HTTPONLY", "SESSION_COOKIE_SAMESITE", "CSRF_COOKIE_SECURE")
print(json.dumps({**answers, **{name: getattr(settings, name) for name in names}}))
"""


def test_secure__behind_tls__redirects_hsts_and_secure_cookies() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SECURE_PROBE],
        cwd=ROOT,
        env={**os.environ, "SECURE": "1", "ALLOWED_HOSTS": "controlplane.example"},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )

    assert json.loads(done.stdout.splitlines()[-1]) == {
        "http": [301, "https://controlplane.example/healthz", ""],
        "https": [200, "", "max-age=31536000; includeSubDomains; preload"],
        "SESSION_COOKIE_SECURE": True,
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "CSRF_COOKIE_SECURE": True,
    }


def test_host__not_ours__is_refused_without_a_word_about_us(db: None) -> None:
    for address in ("/", "/login/", "/api/v1/tokens"):
        answer = Client(raise_request_exception=False, headers={"host": "evil.example"}).get(address)

        assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
        assert b"evil.example" not in answer.content
        assert b"ALLOWED_HOSTS" not in answer.content


def broken(request: HttpRequest) -> HttpResponse:
    hidden = SECRET
    raise RuntimeError(hidden)


class Broken:
    """The product's addresses and one that breaks."""

    urlpatterns = [path("broken", broken), *product_urls.urlpatterns]
    handler400, handler404, handler500 = (
        product_urls.handler400,
        product_urls.handler404,
        product_urls.handler500,
    )


def test_server_error__tells_nothing_of_the_inside(db: None, settings: Settings) -> None:
    settings.ROOT_URLCONF = Broken
    settings.DEBUG = False
    answer = Client(raise_request_exception=False).get("/broken")

    assert (answer.status_code, answer["Content-Type"]) == (500, "application/problem+json")
    assert json.loads(answer.content)["code"] == "internal"
    for inner in (SECRET, "RuntimeError", "Traceback", "test_security", "django"):
        assert inner.encode() not in answer.content


def test_open_addresses__tell_nothing_that_is_secret(world: World, person: Persona) -> None:
    populate(world, person("admin"))
    told = b"".join(Client().get(address).content for address in ("/healthz", "/readyz", "/metrics"))

    assert json.loads(Client().get("/healthz").content) == {"status": "ok"}
    keys = [
        *ApiToken.objects.values_list("key", flat=True),
        *ApiToken.objects.values_list("prefix", flat=True),
    ]
    for secret in [*keys, "item-9", "postgresql://", os.environ["SECRET_KEY"], os.environ["VAR_DIR"], "@"]:
        assert secret.encode() not in told, secret


def test_metrics__odd_methods_and_addresses__make_no_series_of_their_own(db: None) -> None:
    Client().generic("STEALTH", "/api/v1/a-secret-address")

    told = Client().get("/metrics").content
    assert b"STEALTH" not in told
    assert b"a-secret-address" not in told


# --- tokens -----------------------------------------------------------------------------------------------------------

OPEN_TO_ALL = "/api/v1/openapi.json"  # the form of the addresses, nothing that is kept here
READS = sorted(
    {route.path for route in api_routes() if route.method == "GET" and "{" not in route.path} - {OPEN_TO_ALL}
)


def bearer(text: str) -> Client:
    return Client(raise_request_exception=False, headers={"Authorization": f"Bearer {text}"})


def token(**given: Any) -> str:
    text, prefix, secret_hash = tokens.mint()
    values: dict[str, Any] = {
        "key": f"t-{prefix}", "name": "T", "prefix": prefix, "secret_hash": secret_hash, "scopes": ["rest"],
        "roles": ["admin"], "created_at": datetime.now(UTC), "created_by": "tests",
    }  # fmt: skip
    ApiToken.objects.create(**values | given)
    return text


def test_reads__without_a_token_or_with_a_spent_one__are_401_everywhere(db: None) -> None:
    now = datetime.now(UTC)
    spent = {
        "none": "",
        "malformed": "cp_x",
        "expired": token(expires_at=now - timedelta(seconds=1)),
        "revoked": token(revoked_at=now),
        "public key": token(kind="client", scopes=["rest", "events:write"]),
        "another secret": token()[:-3] + "AAA",
    }
    found = {
        f"{name} {address}": answer.status_code
        for name, text in spent.items()
        for address in READS
        if (answer := bearer(text).get(address)).status_code != 401
    }

    assert found == {}


def test_reads__token_without_the_scope_rest_or_without_a_role__are_403_everywhere(db: None) -> None:
    weak = {"scope": token(scopes=["ruleset:read", "events:write"]), "role": token(roles=[])}
    found = {
        f"{name} {address}": answer.status_code
        for name, text in weak.items()
        for address in READS
        if (answer := bearer(text).get(address)).status_code != 403
    }

    assert found == {}


def test_token__rotated__old_text_opens_until_its_grace_is_over(world: World, person: Persona) -> None:
    admin = person("admin")
    body = {"key": "robot", "name": "Robot", "scopes": ["rest"], "roles": ["viewer"]}
    old = admin.post("/api/v1/tokens", body, content_type="application/json").json()
    new = admin.post(
        "/api/v1/tokens/robot/rotate",
        content_type="application/json",
        headers={"If-Match": f'"{old["row_version"]}"'},
    ).json()

    both = (old["token"], new["token"])
    assert [bearer(text).get("/api/v1/tokens").status_code for text in both] == [200, 200]
    ApiToken.objects.filter(key="robot").update(previous_until=datetime.now(UTC))
    assert [bearer(text).get("/api/v1/tokens").status_code for text in both] == [401, 200]


def test_token__of_another_environment__may_not_publish_here(world: World) -> None:
    override = world.override()
    world.production()
    client = bearer(token(environment="staging"))
    answer = client.post(
        f"/api/v1/overrides/{override.key}/publish",
        {"environment": "production"},
        content_type="application/json",
        headers={"If-Match": f'"{override.row_version}"'},
    )

    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert override.live("production") is None


@pytest.mark.parametrize("path", ["revisions", "holds", "analyses", "quarantine", "erasures", "event-counts"])
def test_token__of_another_environment__may_not_read_this_ones(path: str, world: World) -> None:
    world.hold()
    client = bearer(token(environment="staging"))

    assert client.get(f"/api/v1/{path}?environment=production").status_code == 400
    assert client.get(f"/api/v1/{path}").json()["results"] == []


def test_token_text__shown_once__is_nowhere_else(
    world: World, person: Persona, caplog: pytest.LogCaptureFixture
) -> None:
    admin = person("admin")
    with caplog.at_level(logging.DEBUG):
        form = {"key": "robot", "name": "Robot", "kind": "secret", "scopes": ["rest"], "roles": ["viewer"]}
        shown = admin.post("/core/apitoken/add/", form)
        text = re.search(r"cp_[0-9a-zA-Z]+_[0-9A-Za-z_-]+", shown.content.decode())
        assert text is not None
        row = ApiToken.objects.get(key="robot")
        bearer(text[0]).get("/api/v1/tokens")
        bearer(text[0] + "x").get("/api/v1/tokens")
        refused = bearer(text[0]).post("/api/v1/tokens", {"key": text[0]}, content_type="application/json")
    secret = text[0].removeprefix(f"cp_{row.prefix}_")

    assert "no-store" in shown["Cache-Control"]
    again = admin.get(f"/core/apitoken/{row.pk}/change/")
    assert "no-store" in again["Cache-Control"]
    kept = [
        *AuditEvent.objects.values(),
        *SecurityEvent.objects.values(),
        *ApiToken.objects.values(),
        caplog.text,
    ]
    assert secret not in str(kept) + again.content.decode() + refused.content.decode()


def test_password__typed__is_in_no_trail_page_or_log(
    world: World, person: Persona, caplog: pytest.LogCaptureFixture
) -> None:
    admin, password = person("admin"), "seven grey herons wade"
    with caplog.at_level(logging.DEBUG):
        admin.post("/core/user/add/", {"username": "eve", "password": password})
        weak = admin.post("/core/user/add/", {"username": "eva", "password": "herons"})
        Client().post("/login/", {"username": "eve", "password": password + "!"})
    page = admin.get(f"/core/user/{User.objects.get(username='eve').pk}/change/").content.decode()

    kept = str([*AuditEvent.objects.values(), *SecurityEvent.objects.values()]) + page + caplog.text
    assert password not in kept
    assert b"herons" not in weak.content
    assert User.objects.get(username="eve").password not in kept


def test_admin_form__larger_than_the_limit__is_refused(person: Persona) -> None:
    answer = person("admin").post("/core/user/add/", {"username": "x" * 5_000_000, "password": "y"})

    assert answer.status_code in {400, 413}
    assert not User.objects.filter(username__startswith="xx").exists()


# --- two at once ------------------------------------------------------------------------------------------------------


def at_once(calls: list[Any]) -> list[Any]:
    """Answers of calls sent at the same time, each over a database connection of its own."""

    def run(call: Any) -> Any:
        try:
            return call()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def test_writers__of_the_same_version__one_is_stale_and_nothing_is_lost(
    world: World, person: Persona
) -> None:
    override = world.override()
    text = token()
    address, seen = f"/api/v1/overrides/{override.key}", {"If-Match": f'"{override.row_version}"'}

    def save(title: str) -> Any:
        return bearer(text).patch(address, {"title": title}, content_type="application/json", headers=seen)

    answers = at_once([lambda title=title: save(title) for title in ("one", "two", "three")])

    assert sorted(answer.status_code for answer in answers) == [200, 412, 412]
    stale = next(answer.json() for answer in answers if answer.status_code == 412)
    assert (stale["code"], stale["row_version"]) == ("stale", override.row_version + 1)
    winner = next(answer.json() for answer in answers if answer.status_code == 200)
    override.refresh_from_db()
    assert (override.title, override.row_version) == (winner["title"], winner["row_version"])
    assert AuditEvent.objects.filter(operation="overrides.save_override").count() == 1


@pytest.mark.parametrize(
    "route",
    [Route("POST", f"/api/v1/{kind}") for kind in ("overrides", "tokens", "environments", "kill-switches")],
    ids=str,
)
def test_creates__of_one_key__one_is_made_and_the_other_told(route: Route, world: World) -> None:
    call = RECIPES[route].arrange(world)
    text = token()
    before = AuditEvent.objects.count()

    answers = at_once(
        [lambda: bearer(text).post(route.path, call.body, content_type="application/json") for _ in range(3)]
    )

    assert sorted(answer.status_code for answer in answers) == [201, 409, 409]
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"conflict"}
    assert AuditEvent.objects.count() == before + 1
