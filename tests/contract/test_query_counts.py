"""How many queries each list and each read asks: a committed baseline, the same for two rows as for seven.

`QUERY_COUNTS=write make test ARGS=tests/contract/test_query_counts.py JOBS=0` writes the baseline anew; read the difference.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from controlplane.core.api.serializers import TokenRead
from controlplane.core.models import ApiToken
from tests.contract.conftest import Persona
from tests.contract.judging import send
from tests.contract.recipes import RECIPES, Call
from tests.contract.routes import Route, api_routes
from tests.contract.worlds import World

BASELINE = Path(__file__).with_name("query_counts.json")
WRITE = os.environ.get("QUERY_COUNTS") == "write"
LISTS = [
    route
    for route in api_routes()
    if route.method == "GET" and "{" not in route.path and not route.path.endswith(".json")
]
READS = [
    route
    for route in api_routes()
    if route.method == "GET"
    and route.path.endswith("/{key}")
    and Route("POST", route.path.removesuffix("/{key}")) in RECIPES
]

# Lists whose rows come from another route than a POST to the list.
GROWN_BY = {
    "/api/v1/items": "/api/v1/items/bulk",
    "/api/v1/revisions": "/api/v1/overrides/{key}/publish",
    "/api/v1/audit-events": "/api/v1/tokens",
}


def count(client: Client, path: str) -> int:
    """Queries of one GET, session and sign-in included; the second asking, so that caches of the process are warm."""
    client.get(path)
    with CaptureQueriesContext(connection) as captured:
        answer = client.get(path)
    assert answer.status_code == 200, answer.content
    return len(captured)


def grow(admin: Client, world: World, path: str, rows: int) -> str:
    """Make rows of a kind through its own route; the key of the last, or nothing for a kind that is not made so."""
    route = Route("POST", GROWN_BY.get(path, path))
    recipe = RECIPES.get(route)
    if recipe is None:
        return ""
    key = ""
    for _ in range(rows):
        answer = send(admin, route, recipe.arrange(world))
        assert answer.status_code in {200, 201, 202}, answer.content
        key = answer.json().get("key", "")
    return key


@pytest.fixture(scope="module")
def counted() -> Iterator[dict[str, int]]:
    """Collects what was counted; written at the end when that was asked for."""
    found: dict[str, int] = {}
    yield found
    if WRITE:
        BASELINE.write_text(json.dumps(found, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def expected(route: Route, counted: dict[str, int], now: int) -> int:
    counted[str(route)] = now
    if WRITE:
        return now
    baseline: dict[str, int] = json.loads(BASELINE.read_text(encoding="utf-8"))
    return baseline.get(str(route), -1)


@pytest.mark.parametrize("route", LISTS, ids=str)
def test_list__more_rows__asks_no_more_queries(
    route: Route, world: World, person: Persona, counted: dict[str, int]
) -> None:
    admin = person("admin")
    grow(admin, world, route.path, 2)
    few = count(admin, route.path)
    grow(admin, world, route.path, 5)

    assert count(admin, route.path) == few
    assert few == expected(route, counted, few)


@pytest.mark.parametrize("route", READS, ids=str)
def test_read__one_record__asks_what_the_baseline_says(
    route: Route, world: World, person: Persona, counted: dict[str, int]
) -> None:
    admin = person("admin")
    key = grow(admin, world, route.path.removesuffix("/{key}"), 2)
    now = count(admin, route.path.replace("{key}", key))

    assert now == expected(route, counted, now)


def test_baseline__names_only_routes_that_exist() -> None:
    baseline = json.loads(BASELINE.read_text(encoding="utf-8"))

    assert sorted(baseline) == sorted(str(route) for route in (*LISTS, *READS))


def test_count__a_query_per_row_planted__is_noticed(
    world: World, person: Persona, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A serializer that asks the database for every row makes seven rows dearer than two."""
    admin = person("admin")
    monkeypatch.setattr(
        TokenRead,
        "to_representation",
        lambda _, row: {"key": ApiToken.objects.get(pk=row.pk).key},
    )
    grow(admin, world, "/api/v1/tokens", 2)
    few = count(admin, "/api/v1/tokens")
    grow(admin, world, "/api/v1/tokens", 5)

    assert count(admin, "/api/v1/tokens") == few + 5


def test_send__a_path_parameter__is_filled_in() -> None:
    """The machinery of these tests: a key lands in the address."""
    answer = send(Client(), Route("GET", "/api/v1/tokens/{key}"), Call(parameters={"key": "x"}))

    assert answer.request["PATH_INFO"] == "/api/v1/tokens/x"
