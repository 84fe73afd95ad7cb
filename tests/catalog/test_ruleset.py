"""What the catalogue contributes to a ruleset."""

from typing import Any

import pytest

from controlplane.catalog import services
from controlplane.catalog.models import Attribute, Audience, Item, Surface
from controlplane.catalog.ruleset import facts, fragment
from controlplane.engine.conditions import compile_condition
from tests.catalog.conftest import ADMIN, AT, upload

pytestmark = pytest.mark.django_db


def publish(surface: Surface) -> None:
    services.publish_surface(surface, environment="production", actor=ADMIN, at=AT)


def test_fragment__nothing_live__is_empty(feed: Surface, germans: Audience) -> None:
    assert fragment("production", AT).entries == ()


def test_fragment__live_records__are_entries_with_their_references(feed: Surface, germans: Audience) -> None:
    publish(feed)
    services.publish_audience(germans, environment="production", actor=ADMIN, at=AT)
    services.save_surface(feed, content={"slots": 99}, actor=ADMIN, at=AT)

    assert [entry.to_json() for entry in fragment("production", AT).entries] == [
        {
            "section": "shared",
            "kind": "audiences",
            "key": "germans",
            "body": {"version": 1, "condition": {"country": "DE"}},
            "refs": [["attribute", "country"]],
        },
        {
            "section": "surface:home-feed",
            "kind": "surface",
            "key": "home-feed",
            "body": {
                "key": "home-feed",
                "kind": "home-feed",
                "slots": 6,
                "fallback": ["a", "b"],
                "sensitive": False,
                "minors": False,
                "log_rate": 100,
            },
            "refs": [["item", "a"], ["item", "b"]],
        },
    ]
    assert fragment("staging", AT).entries == ()


def test_fragment__fallback_chain__is_resolved_in_order_without_repeats(feed: Surface) -> None:
    email = services.create_surface(
        key="email",
        title="Email",
        owner="ada",
        content={"fallback": ["z", "b"], "fallback_chain": ["home-feed"]},
        actor=ADMIN,
        at=AT,
    )
    publish(email)
    publish(feed)

    bodies = {entry.key: entry.body for entry in fragment("production", AT).entries}
    assert bodies["email"]["fallback"] == ["z", "b", "a"]

    services.withdraw_surface(feed, environment="production", actor=ADMIN, at=AT)
    (entry,) = fragment("production", AT).entries
    assert entry.body["fallback"] == ["z", "b"]
    assert ("surface", "home-feed") in entry.refs


ITEMS: list[dict[str, Any]] = [
    {"item_id": "calm", "signals": {"toxicity": 0.1}, "attributes": {"brand": "Acme", "size": 5}},
    {"item_id": "edge", "signals": {"toxicity": 0.8}, "attributes": {"brand": "Bolt", "size": "5"}},
    {"item_id": "wild", "signals": {"toxicity": 0.95}, "attributes": {"brand": ["Acme"], "adult": True}},
    {"item_id": "mute", "attributes": {"size": 7}},
    {"item_id": "gone", "signals": {"toxicity": 0.99}, "deleted": True},
    {"item_id": "away", "signals": {"toxicity": 0.9}, "available": False, "regions": ["DE"]},
]


def test_facts__items_named__are_told_as_the_engine_reads_them() -> None:
    upload(*ITEMS)

    assert facts("production", ["calm", "away", "gone", "nobody"]) == {
        "away": {"available": False, "signals": {"toxicity": 0.9}, "attributes": {}, "regions": ["DE"]},
        "calm": {
            "available": True,
            "signals": {"toxicity": 0.1},
            "attributes": {"brand": "Acme", "size": 5},
        },
        "gone": {"available": False, "signals": {"toxicity": 0.99}, "attributes": {}},
    }


CONDITIONS: list[tuple[dict[str, Any], set[str]]] = [
    ({"signals.toxicity": {"$gte": 0.8}}, {"edge", "wild", "away"}),
    ({"signals.toxicity": {"$gt": 0.8}}, {"wild", "away"}),
    ({"signals.toxicity": {"$lt": 0.5}}, {"calm", "mute"}),
    ({"signals.toxicity": {"$gte": 0.1, "$lte": 0.8}}, {"calm", "edge"}),
    ({"signals.toxicity": {"$gte": 0.8}, "available": True}, {"edge", "wild"}),
    ({"$and": [{"signals.toxicity": {"$gte": 0.8}}, {"brand": "Bolt"}]}, {"edge"}),
    ({"$or": [{"adult": True}, {"brand": "Bolt"}]}, {"edge", "wild"}),
    ({"brand": "Acme"}, {"calm", "wild"}),
    ({"brand": {"$in": ["Acme", "Bolt"]}}, {"calm", "edge", "wild"}),
    ({"size": "5"}, {"calm", "edge"}),
    ({"size": {"$eq": "5"}}, {"edge"}),
    ({"brand": {"$ne": "Acme"}}, {"edge", "wild", "mute", "away"}),
    ({"signals.unheard": {"$exists": True}}, set()),
    ({"id": "mute"}, {"mute"}),
]


@pytest.mark.parametrize(("condition", "restricted"), CONDITIONS, ids=[str(c) for c, _ in CONDITIONS])
def test_facts__conditions__cover_exactly_the_present_items_they_match(
    condition: dict[str, Any], restricted: set[str]
) -> None:
    upload(*ITEMS)
    matches = compile_condition(condition, strict=True)
    by_law = {
        item.item_id
        for item in Item.objects.filter(deleted_at=None)
        if matches(
            {**item.attributes, "id": item.item_id, "available": item.available, "signals": item.signals}
        )
    }

    assert set(facts("production", [], [condition])) == by_law == restricted


def test_facts__private_attribute__is_told_only_when_a_condition_reads_it() -> None:
    upload({"item_id": "a", "attributes": {"margin": 0.4, "brand": "x"}})
    services.save_attribute(Attribute.objects.get(name="margin"), private=True, actor=ADMIN, at=AT)

    assert facts("production", ["a"])["a"]["attributes"] == {"brand": "x"}
    assert facts("production", ["a"], [{"margin": {"$gt": 0.9}}])["a"]["attributes"] == {
        "brand": "x",
        "margin": 0.4,
    }
