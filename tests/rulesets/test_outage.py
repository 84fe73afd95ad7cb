"""Without its database, `serve` goes on answering from memory, and after a restart from its state file."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from controlplane.embedded import services
from controlplane.embedded.places import places
from tests.rulesets.running import ROOT, Serve, until

SET_UP = """
import django; django.setup()
from datetime import UTC, datetime
from controlplane.catalog.models import Environment
from controlplane.core import services as core
from controlplane.core.actors import Actor
from controlplane.rulesets import services
now = datetime.now(UTC)
Environment.objects.create(key="production", name="Production", kind="production", created_at=now)
admin = Actor(kind="user", id="1", name="Ada", grants=frozenset({("admin", None)}))
_, text = core.create_token(key="r", name="r", actor=admin, at=now, scopes=["ruleset:read"], environment="production")
print(services.publish("production", cause="test", at=now).revision, text)
"""
PUBLISH_AGAIN = """
import django; django.setup()
from datetime import UTC, datetime
from django.db import connection
from controlplane.core.canonical import canonical_json
from controlplane.catalog import services as catalog
from controlplane.core.actors import Actor
from controlplane.rulesets import services
now = datetime.now(UTC)
admin = Actor(kind="user", id="1", name="Ada", grants=frozenset({("admin", None)}))
audience = catalog.create_audience(
    key="vip", title="VIP", owner="Ada", content={"condition": {"country": "NL"}}, actor=admin, at=now
)
catalog.publish_audience(audience, environment="production", actor=admin, at=now)
print(services.publish("production", cause="test", at=now).revision)
"""


class Installation:
    """An installation of its own, whose database can be stopped without disturbing anybody."""

    def __init__(self, var_dir: Path) -> None:
        self.var_dir = var_dir
        self.environment = services.ensure_running(var_dir)
        self._python("manage.py", "migrate", "--noinput", DATABASE_ROLE="owner")

    def run(self, script: str) -> str:
        return self._python("-c", script)

    def _python(self, *arguments: str, **more: str) -> str:
        inherited = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG"}}
        done = subprocess.run(
            [sys.executable, "-W", "ignore", *arguments],
            cwd=ROOT,
            env={
                **inherited,
                **self.environment,
                "DJANGO_SETTINGS_MODULE": "controlplane.settings",
                "LOG_LEVEL": "ERROR",
                **more,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def stop_database(self) -> None:
        services.stop(self.var_dir)

    def start_database(self) -> None:
        services.ensure_running(self.var_dir)


@pytest.fixture
def installation() -> Iterator[Installation]:
    with tempfile.TemporaryDirectory(prefix="cp-serve-") as folder:
        var_dir = places(Path(folder) / "var").var_dir
        try:
            yield Installation(var_dir)
        finally:
            services.stop(var_dir)


def test_outage__database_stopped_and_serve_restarted__goes_on_and_catches_up(
    installation: Installation, tmp_path: Path
) -> None:
    number, token = installation.run(SET_UP).split()
    assert number == "1"

    with Serve(tmp_path, installation.environment) as serve:
        until(lambda: serve.ruleset(token).status_code == 200, what="the first answer")
        before = serve.ruleset(token)
        state = tmp_path / "state" / "serve.json"
        until(
            lambda: "r" and state.exists() and json.loads(state.read_text())["tokens"], what="the state file"
        )
        assert stat.S_IMODE(state.stat().st_mode) == 0o600
        secret = token.rpartition("_")[2]
        assert secret not in state.read_text()
        assert serve.ready()["database"] == "ok"

        installation.stop_database()
        until(lambda: serve.ready()["database"] != "ok", what="the outage being noticed")
        assert serve.ruleset(token).content == before.content
        assert serve.ruleset(token, if_none_match=before.headers["etag"]).status_code == 304
        ready = serve.http.get("/readyz")
        assert (ready.status_code, ready.json()["status"], ready.json()["source"]) == (
            200,
            "degraded",
            "database",
        )
        seconds, code = serve.stop()
        assert (seconds < 5, code) == (True, 0)

    with Serve(tmp_path, installation.environment) as serve:
        ready = serve.http.get("/readyz")
        assert (ready.status_code, ready.json()["source"]) == (200, "state file")
        assert ready.json()["state_file_age_seconds"] > 0
        assert ready.json()["heads"] == {"production": 1}
        again = serve.ruleset(token)
        assert (again.content, again.headers["etag"]) == (before.content, before.headers["etag"])
        assert serve.ruleset(token[:-1] + ("a" if token[-1] != "a" else "b")).status_code == 401

        installation.start_database()
        assert installation.run(PUBLISH_AGAIN).strip() == "2"
        until(
            lambda: serve.ruleset(token).json()["manifest"]["revision"] == 2,
            seconds=10,
            what="the revision published after the outage",
        )
        assert serve.ready()["source"] == "database"


def test_outage__no_database_and_no_state__is_unavailable_and_not_the_callers_fault(tmp_path: Path) -> None:
    nowhere = dict.fromkeys(("DATABASE_URL", "DATABASE_DIRECT_URL"), f"postgresql:///none?host={tmp_path}")
    with Serve(tmp_path, nowhere) as serve:
        answer = serve.ruleset("cp_aaaaaaaa_" + "x" * 43)
        assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (
            503,
            "unavailable",
            "5",
        )
        assert serve.http.get("/readyz").status_code == 503
        assert serve.http.get("/healthz").status_code == 200


@pytest.mark.parametrize("content", ["", "{", '{"format": 1}', '{"format": 99}', "[]"])
def test_outage__state_file_is_damaged__starts_all_the_same(tmp_path: Path, content: str) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "serve.json").write_text(content)
    nowhere = dict.fromkeys(("DATABASE_URL", "DATABASE_DIRECT_URL"), f"postgresql:///none?host={tmp_path}")
    with Serve(tmp_path, nowhere) as serve:
        assert serve.ready()["source"] == "nothing"
        assert "state_file_unfit" in serve.log()
