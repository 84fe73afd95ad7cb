"""A clock, people who act, and a program that calls."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from django.http import HttpResponse
from django.test import Client

from controlplane.catalog import services
from controlplane.catalog.models import Audience, Environment, Surface
from controlplane.catalog.services import UploadReport
from controlplane.core import tokens
from controlplane.core.actors import Actor
from controlplane.core.models import ApiToken

AT = datetime(2026, 3, 1, 10, 0, tzinfo=UTC)
LATER = datetime(2026, 3, 1, 11, 0, tzinfo=UTC)
ADMIN = Actor(kind="user", id="1", name="ada", grants=frozenset({("admin", None)}))
VIEWER = Actor(kind="user", id="2", name="vera", grants=frozenset({("viewer", None)}))


def upload(*lines: Any, at: datetime = AT, batch_lines: int = 5_000, actor: Actor = ADMIN) -> UploadReport:
    """Take in lines: bytes as they are, anything else as its JSON."""
    raw = [line if isinstance(line, bytes) else orjson.dumps(line) for line in lines]
    report = UploadReport()
    for batch in services.upsert_items(raw, actor=actor, at=at, batch_lines=batch_lines):
        report.add(batch)
    return report


@pytest.fixture
def production(db: None) -> Environment:
    return services.create_environment(
        key="production", name="Production", kind="production", actor=ADMIN, at=AT
    )


@pytest.fixture
def feed(production: Environment) -> Surface:
    """A home feed, saved and live nowhere."""
    return services.create_surface(
        key="home-feed",
        title="Home feed",
        owner="ada",
        content={"kind": "home-feed", "slots": 6, "fallback": ["a", "b"]},
        actor=ADMIN,
        at=AT,
    )


@pytest.fixture
def germans(production: Environment) -> Audience:
    return services.create_audience(
        key="germans",
        title="Germans",
        owner="ada",
        content={"condition": {"country": "DE"}},
        actor=ADMIN,
        at=AT,
    )


class Program:
    """A program that calls the REST API as one role."""

    def __init__(self, role: str) -> None:
        text, prefix, secret_hash = tokens.mint()
        ApiToken.objects.create(
            key=f"program-{prefix}", name="A program", prefix=prefix, secret_hash=secret_hash, scopes=["rest"],
            roles=[role], created_at=AT, created_by="tests",
        )  # fmt: skip
        self.prefix = prefix
        self._client = Client(raise_request_exception=False, headers={"Authorization": f"Bearer {text}"})

    def get(self, path: str) -> HttpResponse:
        return self._client.get(f"/api/v1/{path}")  # type: ignore[return-value]  # the client adds to HttpResponse

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        version: int | None = None,
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> HttpResponse:
        """Send a body: bytes as they are, anything else as JSON."""
        data = body if isinstance(body, bytes) else orjson.dumps({} if body is None else body)
        match = {} if version is None else {"If-Match": f'"{version}"'}
        return self._client.generic(  # type: ignore[return-value]  # the client adds to HttpResponse
            method, f"/api/v1/{path}", data, content_type=content_type, headers={**match, **(headers or {})}
        )


@pytest.fixture
def program(db: None) -> Callable[[str], Program]:
    return Program
