"""One installation for all journeys of a worker, with a surface, items and a token for hosts."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.installation import Installation
from tests.journeys.rest import Rest
from tests.journeys.traffic import SURFACE

# In memory where there is room: what is waited for is then the code under test, not the disk's write barriers.
SHARED_MEMORY = Path("/dev/shm")
ROOM = SHARED_MEMORY.is_dir() and shutil.disk_usage(SHARED_MEMORY).free > 2 * 2**30


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """A short path: a Unix socket's address holds about a hundred characters."""
    with tempfile.TemporaryDirectory(prefix="cp-jrn-", dir=SHARED_MEMORY if ROOM else None) as made:
        yield Path(made)


@pytest.fixture(scope="session")
def installation(folder: Path) -> Iterator[Installation]:
    with Installation(folder / "var") as running:
        _furnish(running)
        yield running


@pytest.fixture(scope="session")
def token(installation: Installation) -> str:
    """For hosts: reads the ruleset of production and writes its events."""
    return _mint(installation, "host", scopes=["ruleset:read", "events:write"], environment="production")


@pytest.fixture(scope="session")
def rest_token(installation: Installation) -> str:
    """For a program that may do what every kind of person may, but not administer."""
    return _mint(
        installation, "program", scopes=["rest"], roles=["analyst", "merchandiser", "compliance", "operator"]
    )


@pytest.fixture(scope="session")
def rest(installation: Installation, rest_token: str) -> Iterator[Rest]:
    program = Rest(installation.web, rest_token)
    yield program
    program.close()


def _mint(installation: Installation, key: str, **more: Any) -> str:
    with installation.control() as control:
        return str(control.create("admin", "tokens", {"key": key, "name": f"A {key}", **more})["token"])


def _furnish(installation: Installation) -> None:
    items = [{"item_id": f"item-{number}", "title": f"Item {number}"} for number in range(1, 9)]
    surface = {"kind": "home-feed", "slots": 6, "fallback": ["item-1", "item-2"]}
    with installation.control() as control:
        taken = control.upload("admin", "/items/bulk", [json.dumps(item).encode() for item in items])
        assert taken["created"] == len(items), taken
        control.create("admin", "surfaces", {"key": SURFACE, "title": "Home feed", "content": surface})
        control.act("admin", "surfaces", SURFACE, "publish", {"environment": "production"})
