"""A small shop: two surfaces, six items, one audience, and people with and without rights."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from controlplane.catalog import services as catalog
from controlplane.core.actors import Actor
from overrides import services
from overrides.models import Override

AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
LATER = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)


def somebody(name: str, role: str, surface: str | None = None) -> Actor:
    return Actor(kind="user", id=name, name=name, grants=frozenset({(role, surface)}))


ADMIN = somebody("ada", "admin")
MONA = somebody("mona", "merchandiser")
VERA = somebody("vera", "viewer")
FELIX = somebody("felix", "merchandiser", "feed")

ITEMS: tuple[dict[str, Any], ...] = (
    {"item_id": "a", "title": "Amber lamp", "attributes": {"category": "lamps"}},
    {"item_id": "b", "title": "Blue boots", "attributes": {"category": "boots"}},
    {"item_id": "c", "title": "Calm coat", "attributes": {"category": "coats"}},
    {"item_id": "d", "title": "Deep coat", "attributes": {"category": "coats"}},
    {"item_id": "e", "title": "Even mug", "attributes": {"category": "mugs"}},
    {"item_id": "gone", "title": "Gone", "attributes": {"category": "mugs"}, "available": False},
)
BOOST: Mapping[str, Any] = {
    "type": "boost",
    "surfaces": ["feed"],
    "condition": {"category": "coats"},
    "factor": 2,
    "reason": "autumn",
}


def stock() -> None:
    """The shop's surfaces, items and audience; the surfaces are live in production."""
    catalog.create_environment(key="production", name="Production", kind="production", actor=ADMIN, at=AT)
    catalog.create_environment(key="staging", name="Staging", kind="staging", actor=ADMIN, at=AT)
    for _ in catalog.upsert_items([orjson.dumps(item) for item in ITEMS], actor=ADMIN, at=AT):
        pass
    for key, kind in (("feed", "home-feed"), ("search", "search")):
        surface = catalog.create_surface(
            key=key, title=key.title(), owner="ada", content={"kind": kind, "slots": 4}, actor=ADMIN, at=AT
        )
        catalog.publish_surface(surface, environment="production", actor=ADMIN, at=AT)
    germans = catalog.create_audience(
        key="germans",
        title="Germans",
        owner="ada",
        content={"condition": {"country": "DE"}},
        actor=ADMIN,
        at=AT,
    )
    catalog.publish_audience(germans, environment="production", actor=ADMIN, at=AT)


@pytest.fixture
def shop(db: None) -> None:
    stock()


Make = Callable[..., Override]


@pytest.fixture
def make(shop: None) -> Make:
    """Creates an override; the content's fields replace those of a boost of coats on the feed."""

    def made(key: str = "coats", *, actor: Actor = MONA, at: datetime = AT, **fields: Any) -> Override:
        content = {**BOOST, **fields}
        return services.create_override(
            key=key,
            title=key.title(),
            owner=actor.name,
            content={name: value for name, value in content.items() if value is not None},
            actor=actor,
            at=at,
        )

    return made


def pin(*items: str, **fields: Any) -> dict[str, Any]:
    """Content of a pin on the feed for the first week of March."""
    return {
        "type": "pin",
        "surfaces": ["feed"],
        "items": list(items),
        "position": 1,
        "windows": [["2026-03-01T00:00:00Z", "2026-03-08T00:00:00Z"]],
        "reason": "launch",
        **fields,
    }
