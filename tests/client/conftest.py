from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from controlplane.client import Client, ClientError
from tests.client.documents import document
from tests.client.peer import TOKEN, Peer, serving


class Told:
    """What the client told its host through the hooks."""

    def __init__(self) -> None:
        self.errors: list[ClientError] = []
        self.stale: list[float] = []

    def kinds(self) -> set[str]:
        return {type(error).__name__ for error in self.errors}


@pytest.fixture
def peer() -> Iterator[Peer]:
    """A peer serving revision 1."""
    with serving(Peer(document=document(revision=1))) as running:
        yield running


@pytest.fixture
def told() -> Told:
    return Told()


MakeClient = Callable[..., Client]


@pytest.fixture
def make_client(peer: Peer, told: Told, tmp_path: Path) -> Iterator[MakeClient]:
    """Clients of the peer with short pauses, closed at the end."""
    made: list[Client] = []

    def make(**given: Any) -> Client:
        settings: dict[str, Any] = {
            "cache_dir": tmp_path / "cache",
            "poll_seconds": 0.05,
            "flush_seconds": 0.05,
            "timeout": 1.0,
            "on_error": told.errors.append,
            "on_stale": told.stale.append,
        }
        url = given.pop("url", peer.url)
        token = given.pop("token", TOKEN)
        client = Client(url, token, **{**settings, **given})
        made.append(client)
        return client

    yield make
    for client in made:
        client.close(timeout=1.0)
