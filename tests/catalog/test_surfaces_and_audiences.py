"""Surfaces and audiences: versions, pointers, and content that is judged before it is kept."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from controlplane.catalog import selectors, services
from controlplane.catalog.models import Audience, Environment, Surface
from controlplane.core.actors import Actor
from controlplane.core.errors import Conflict, Forbidden, InvalidInput, Stale
from controlplane.core.models import AuditEvent, Reaction
from tests.catalog.conftest import ADMIN, AT, LATER

pytestmark = pytest.mark.django_db


def make_surface(content: dict[str, Any], key: str = "feed") -> Surface:
    return services.create_surface(key=key, title="Feed", owner="ada", content=content, actor=ADMIN, at=AT)


def refusal(content: dict[str, Any]) -> dict[str, str]:
    """Field -> message of what is wrong with a surface's content."""
    with pytest.raises(InvalidInput) as caught:
        make_surface(content)
    assert Surface.objects.count() == 0
    assert all(error.remedy for error in caught.value.errors)
    return {error.field: error.message for error in caught.value.errors}


def test_create_surface__little_said__fills_in_defaults() -> None:
    surface = make_surface({"kind": "email"})

    assert surface.newest().content == {
        "kind": "email",
        "slots": 10,
        "fallback": [],
        "fallback_chain": [],
        "sensitive": False,
        "minors": False,
        "log_rate": 100,
    }
    assert selectors.surface_keys("production") == frozenset()


@pytest.mark.parametrize(
    ("content", "field", "message"),
    [
        ({"kind": "billboard"}, "content.kind", "'billboard' is no kind"),
        ({"kind": ["email"]}, "content.kind", "['email'] is no kind"),
        ({"slots": 0}, "content.slots", "is not a whole number from 1 to 1000"),
        ({"slots": True}, "content.slots", "is not a whole number from 1 to 1000"),
        ({"slots": 2.5}, "content.slots", "is not a whole number from 1 to 1000"),
        ({"log_rate": 10_001}, "content.log_rate", "is not a whole number from 0 to 10000"),
        ({"sensitive": "yes"}, "content.sensitive", "is not true or false"),
        ({"minors": None}, "content.minors", "is not true or false"),
        ({"fallback": "a"}, "content.fallback", "is not a list"),
        ({"fallback": ["a", 7]}, "content.fallback.1", "7 cannot be one of the item ids"),
        ({"fallback": ["a", "b", "a"]}, "content.fallback", "a stands there twice"),
        ({"fallback": [str(n) for n in range(501)]}, "content.fallback", "holds 501 entries"),
        (
            {"fallback_chain": ["Nope!"]},
            "content.fallback_chain.0",
            "'Nope!' cannot be one of the surface keys",
        ),
        ({"fallback_chain": ["feed"]}, "content.fallback_chain", "a surface cannot fall back on itself"),
        ({"fallback_chain": ["ghost"]}, "content.fallback_chain", "there is no surface ghost"),
        ({"slotz": 3}, "content.slotz", "there is no such field"),
    ],
)
def test_create_surface__content_wrong__names_field_and_remedy(
    content: dict[str, Any], field: str, message: str
) -> None:
    assert refusal(content) == {field: message}


def test_create_surface__several_things_wrong__names_them_all() -> None:
    assert set(refusal({"slots": -1, "log_rate": -1, "sensitive": 0})) == {
        "content.slots",
        "content.log_rate",
        "content.sensitive",
    }


@pytest.mark.parametrize("key", ["", "Feed", "-feed", "feed-", "a b", "x" * 65, "føed", "feed\n"])
def test_create_surface__key_wrong__is_refused(key: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        make_surface({}, key=key)
    assert [error.field for error in caught.value.errors] == ["key"]


def test_create_surface__key_taken__conflicts() -> None:
    make_surface({})

    with pytest.raises(Conflict, match="This key is taken"):
        make_surface({})


def test_save_surface__new_content__adds_a_version_and_moves_nothing(feed: Surface) -> None:
    services.publish_surface(feed, environment="production", actor=ADMIN, at=AT)

    services.save_surface(feed, content={"slots": 3}, actor=ADMIN, at=LATER, note="smaller")

    assert [version.number for version in feed.versions.all()] == [2, 1]
    assert feed.live("production").number == 1
    assert feed.newest().note == "smaller"
    event = AuditEvent.objects.first()
    assert event is not None
    assert event.difference["content.slots"] == {"from": 6, "to": 3}
    assert event.difference["version"] == {"from": 1, "to": 2}


def test_save_surface__same_content__adds_no_version(feed: Surface) -> None:
    services.save_surface(feed, content=dict(feed.newest().content), title="Home", actor=ADMIN, at=LATER)

    assert (feed.versions.count(), feed.title) == (1, "Home")


def test_save_surface__seen_an_older_version__is_stale_and_changes_nothing(feed: Surface) -> None:
    services.save_surface(feed, title="Theirs", actor=ADMIN, at=AT, expects=1)

    with pytest.raises(Stale):
        services.save_surface(feed, title="Mine", actor=ADMIN, at=AT, expects=1)

    assert Surface.objects.get().title == "Theirs"


def test_publish_surface__older_version__puts_that_one_live(feed: Surface) -> None:
    services.save_surface(feed, content={"slots": 3}, actor=ADMIN, at=AT)
    services.publish_surface(feed, environment="production", actor=ADMIN, at=AT)
    services.publish_surface(feed, environment="production", version=1, actor=ADMIN, at=LATER)

    assert feed.live("production").number == 1
    assert selectors.surface_keys("production") == {"home-feed"}
    assert set(Reaction.objects.values_list("key", "environment")) == {("rulesets.publish", "production")}


@pytest.mark.parametrize(
    ("environment", "version", "field"), [("nowhere", None, "environment"), ("production", 9, "version")]
)
def test_publish_surface__no_such_place_or_version__is_refused(
    feed: Surface, environment: str, version: int | None, field: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        services.publish_surface(feed, environment=environment, version=version, actor=ADMIN, at=AT)

    assert [error.field for error in caught.value.errors] == [field]
    assert feed.pointers.count() == 0


def test_withdraw_surface__live__is_live_no_longer_and_twice_conflicts(feed: Surface) -> None:
    services.publish_surface(feed, environment="production", actor=ADMIN, at=AT)

    services.withdraw_surface(feed, environment="production", actor=ADMIN, at=LATER)

    assert selectors.surface_keys("production") == frozenset()
    with pytest.raises(Conflict, match="home-feed is not live in production"):
        services.withdraw_surface(feed, environment="production", actor=ADMIN, at=LATER)


@pytest.mark.parametrize(("surface", "allowed"), [("home-feed", True), ("search", False)])
def test_save_surface__role_on_one_surface__covers_that_one_only(
    feed: Surface, surface: str, allowed: bool
) -> None:
    actor = Actor(kind="user", id="3", name="otto", grants=frozenset({("operator", surface)}))

    if allowed:
        services.save_surface(feed, title="Mine", actor=actor, at=AT)
    else:
        with pytest.raises(Forbidden):
            services.save_surface(feed, title="Mine", actor=actor, at=AT)

    assert Surface.objects.get().title == ("Mine" if allowed else "Home feed")


def test_create_audience__misspelt_attribute__names_the_nearest(production: Environment) -> None:
    services.learn("production", "request", [{"country": "DE", "device": {"os": "ios"}}], actor=ADMIN, at=AT)

    with pytest.raises(InvalidInput) as caught:
        services.create_audience(
            key="x", title="X", owner="a", content={"condition": {"contry": "DE"}}, actor=ADMIN, at=AT
        )

    (error,) = caught.value.errors
    assert (error.field, error.message) == (
        "content.condition.contry",
        "no request has an attribute 'contry'",
    )
    assert error.remedy.startswith("Did you mean country?")
    assert Audience.objects.count() == 0


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ({}, "content.condition"),
        ({"condition": {}}, "content.condition"),
        ({"condition": "country = DE"}, "content.condition"),
        ({"condition": {"country": {"$like": "D"}}}, "content.condition.country.$like"),
        ({"condition": {"country": {"$regex": "(a+)+$"}}}, "content.condition.country.$regex"),
        ({"condition": {"country": "DE"}, "extra": 1}, "content.extra"),
    ],
)
def test_create_audience__condition_wrong__names_the_place(content: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        services.create_audience(key="x", title="X", owner="a", content=content, actor=ADMIN, at=AT)

    assert [error.field for error in caught.value.errors] == [field]
    assert all(error.remedy for error in caught.value.errors)


def test_lists__more_records__take_no_more_queries(production: Environment) -> None:
    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            for record in (*selectors.surfaces(), *selectors.audiences()):
                [version.number for version in record.versions.all()]
                [pointer.version.number for pointer in record.pointers.all()]
            [pointer.version.content for pointer in selectors.live_surfaces("production")]
        return len(captured)

    def publish(number: int) -> None:
        surface = make_surface({}, key=f"s{number}")
        services.publish_surface(surface, environment="production", actor=ADMIN, at=AT)

    publish(1)
    one = queries()
    for number in range(2, 8):
        publish(number)

    assert queries() == one == 6
