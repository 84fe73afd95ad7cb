"""The attribute dictionary learns from the requests of logged decisions."""

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from controlplane.catalog.models import Attribute
from controlplane.core.actors import Actor
from controlplane.events import contexts, lake, selectors, services

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
WORKER = Actor.system("worker")


def _decision(
    number: int, at: datetime, context: dict[str, Any] | None, environment: str = "production"
) -> dict[str, Any]:
    request = None if context is None else orjson.dumps({"surface": "home-feed", "context": context}).decode()
    return {
        "event_id": f"d{number}",
        "type": "decision",
        "schema_version": 1,
        "environment": environment,
        "surface": "home-feed",
        "occurred_at": at,
        "received_at": at,
        "received_day": at.date().isoformat(),
        "request": request,
        "source": "live",
    }


def _lake(url: str, rows: list[dict[str, Any]], version: int = 1) -> None:
    lake.append(lake.ensure_table(url), lake.rows_table(rows), app_id="test", version=version)


def test_recent__after_the_mark__only_newer_contexts_of_each_environment(lake_url: str) -> None:
    _lake(
        lake_url,
        [
            _decision(1, NOW - timedelta(hours=2), {"country": "DE"}),
            _decision(2, NOW - timedelta(hours=1), {"country": "NL"}),
            _decision(3, NOW, None),
            _decision(4, NOW, {"device": "phone"}, environment="staging"),
        ],
    )
    found = contexts.recent(
        lake_url, after={"production": NOW - timedelta(hours=2)}, since=NOW - timedelta(days=1)
    )
    assert {name: seen.contexts for name, seen in found.items()} == {
        "production": [{"country": "NL"}],
        "staging": [{"device": "phone"}],
    }
    assert found["production"].until == NOW - timedelta(hours=1)


def test_recent__no_lake_yet__nothing(lake_url: str) -> None:
    assert contexts.recent(lake_url, after={}, since=NOW) == {}


@pytest.mark.django_db
def test_learn_contexts__new_names__stand_in_the_dictionary_once_and_the_mark_moves() -> None:
    learned = services.learn_contexts(
        environment="production",
        contexts=[{"country": "DE"}, {"country": "NL", "loyalty": {"tier": "gold"}}],
        until=NOW,
        actor=WORKER,
        at=NOW,
    )
    assert learned == ("country", "loyalty", "loyalty.tier")
    country = Attribute.objects.get(subject_kind="request", name="country")
    assert (country.type, country.seen_count, sorted(country.values_seen)) == ("string", 2, ["DE", "NL"])
    assert selectors.learned_until() == {"production": NOW}
    again = services.learn_contexts(
        environment="production",
        contexts=[{"country": "DE"}],
        until=NOW + timedelta(hours=1),
        actor=WORKER,
        at=NOW,
    )
    assert again == ()
    assert selectors.learned_until() == {"production": NOW + timedelta(hours=1)}
