"""A clock, people, and a trail of its own for each test."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pytest_django import Settings

from controlplane.core import sealing
from controlplane.core.actors import Actor
from controlplane.core.models import AuditEvent

AT = datetime(2026, 3, 1, 10, 0, tzinfo=UTC)
ADMIN = Actor(kind="user", id="1", name="ada", grants=frozenset({("admin", None)}))
VIEWER = Actor(kind="user", id="2", name="vera", grants=frozenset({("viewer", None)}))
OPERATOR = Actor(kind="user", id="3", name="olga", grants=frozenset({("operator", None)}))


@pytest.fixture(autouse=True)
def _plain_settings(settings: Settings, tmp_path: Path) -> None:
    """Core by itself: no policy, no reaction, no rulesets, anchors and keys of this test alone."""
    settings.POLICIES, settings.REACTIONS, settings.WRITE_ANSWER = [], {}, ""
    settings.AUDIT_ANCHOR_FILE = tmp_path / "anchors" / "audit.jsonl"
    settings.KEYS_DIR = tmp_path / "keys"


@pytest.fixture
def seal_all(transactional_db: None) -> Callable[[], int]:
    """Seal until nothing waits: transactions of other databases on the server hold the sealer back for a moment."""

    def seal() -> int:
        sealed, deadline = 0, time.monotonic() + 30
        while AuditEvent.objects.filter(sealed__isnull=True).exists():
            sealed += sealing.seal(at=AT)
            assert time.monotonic() < deadline, "the sealer does not get through"
        return sealed

    return seal
