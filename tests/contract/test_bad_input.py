"""Bad input on every unsafe route: a problem that names the field and the remedy, never a 500, and nothing written."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest
from django.test import Client

from tests.contract.conftest import Persona
from tests.contract.judging import untouched
from tests.contract.ledger import watch
from tests.contract.mutations import Mutation, broken_bytes, other_tops, wrong_fields
from tests.contract.recipes import RECIPES, STATELESS, Call
from tests.contract.routes import Route, api_routes
from tests.contract.worlds import World

UNSAFE = [route for route in api_routes() if route.unsafe]
LINES = Route(
    "POST", "/api/v1/items/bulk"
)  # takes lines, not one document; tests/catalog/test_api.py has its bad input
DOCUMENTS = [route for route in UNSAFE if route != LINES]


def address(route: Route, call: Call) -> str:
    path = route.path
    for name, value in call.parameters.items():
        path = path.replace(f"{{{name}}}", value)
    return path


def request(client: Client, route: Route, call: Call, body: bytes, content_type: str, path: str = "") -> Any:
    seen = {} if call.if_match is None else {"If-Match": f'"{call.if_match}"'}
    return client.generic(
        route.method, path or address(route, call), body, content_type=content_type, headers=seen
    )


def problem_faults(answer: Any, statuses: Iterable[int]) -> list[str]:
    """What is wrong with an answer that should be a problem of one of these statuses."""
    if answer.status_code not in statuses:
        return [f"answered {answer.status_code}: {answer.content[:200]!r}"]
    if answer["Content-Type"] != "application/problem+json":
        return [f"is {answer['Content-Type']}"]
    problem = json.loads(answer.content)
    missing = {"type", "title", "status", "detail", "code", "request_id"} - problem.keys()
    found = [f"lacks {name}" for name in sorted(missing)]
    if problem["status"] != answer.status_code or not problem["detail"]:
        found.append(f"says {problem['status']}, {problem['detail']!r}")
    found += [f"no remedy: {error}" for error in problem.get("errors", []) if not error["remedy"]]
    if len(answer.content) > 20_000:
        found.append(f"echoes {len(answer.content)} bytes")
    return found


def names_field(answer: Any, field: str) -> list[str]:
    """Whether some complaint is about the field, or about something it stands in, or within it."""
    named = [error["field"] for error in json.loads(answer.content).get("errors", [])]
    if any(one and (field.startswith(one) or one.startswith(field)) for one in named):
        return []
    return [f"names {named} and not {field}"]


def faults(client: Client, route: Route, call: Call, mutations: Iterable[Mutation]) -> dict[str, list[str]]:
    """Mutation -> what was wrong with its answer; and what the whole series left behind."""
    found: dict[str, list[str]] = {}
    with watch() as changes:
        for one in mutations:
            answer = request(client, route, call, one.body, one.content_type)
            said = problem_faults(answer, one.statuses)
            if not said and one.field:
                said = names_field(answer, one.field)
            if said:
                found[one.name] = said
    left = untouched(changes)
    return {**found, **({"left behind": left} if left else {})}


@pytest.mark.parametrize("route", DOCUMENTS, ids=str)
def test_body__spoilt_in_every_way__is_a_problem_and_nothing_is_written(
    route: Route, world: World, person: Persona
) -> None:
    call = {**RECIPES, **STATELESS}[route].arrange(world)
    good = {} if call.body is None else call.body
    mutations = [*broken_bytes(good), *other_tops(), *wrong_fields(good)]

    assert faults(person("admin"), route, call, mutations) == {}
