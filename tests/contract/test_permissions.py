"""Every unsafe route × every role, both sides: who may, does, in one audited step; who may not, leaves no trace but one."""

import pytest
from django.conf import settings as product
from django.test import Client
from pytest_django import Settings

from controlplane.core import audit, operations, security
from controlplane.core.actors import Actor
from tests.contract.conftest import Persona
from tests.contract.judging import done, kept, permitted, refused, send, untouched, waits
from tests.contract.ledger import watch
from tests.contract.recipes import RECIPES, STATELESS
from tests.contract.routes import Route, api_routes
from tests.contract.worlds import World

UNSAFE = [route for route in api_routes() if route.unsafe]
KNOWN = [route for route in UNSAFE if route in RECIPES]
TOKENS = Route("POST", "/api/v1/tokens")
ROTATE = Route("POST", "/api/v1/tokens/{key}/rotate")


def test_unsafe_routes__each__has_a_recipe() -> None:
    """A new route must say which operation it stands for; a recipe without a route is stale."""
    listed = set(RECIPES) | set(STATELESS)

    assert [str(route) for route in UNSAFE if route not in listed] == []
    assert [str(route) for route in sorted(listed) if route not in UNSAFE] == []


@pytest.mark.parametrize("route", KNOWN, ids=str)
def test_route__every_role__may_or_may_not_as_the_table_says(
    route: Route, world: World, person: Persona
) -> None:
    recipe = RECIPES[route]
    faults = {}
    for role in (None, *product.ROLES):
        judge = refused if not permitted(role, recipe.operation) else waits if recipe.needs_approval else done
        faults[role] = judge(person(role), route, recipe, recipe.arrange(world))

    assert {role: found for role, found in faults.items() if found} == {}


@pytest.mark.parametrize("route", [route for route in KNOWN if RECIPES[route].needs_approval], ids=str)
def test_route__whose_policy_is_satisfied__is_done(
    route: Route, world: World, person: Persona, settings: Settings
) -> None:
    recipe = RECIPES[route]
    call = recipe.arrange(world)
    settings.POLICIES = []

    assert done(person("admin"), route, recipe, call) == []


@pytest.mark.parametrize("route", KNOWN, ids=str)
def test_route__a_role_on_another_surface__is_refused(route: Route, world: World, person: Persona) -> None:
    recipe = RECIPES[route]
    role = next(role for role in product.ROLES if permitted(role, recipe.operation))

    assert refused(person(role, surface="elsewhere"), route, recipe, recipe.arrange(world)) == []


@pytest.mark.parametrize("route", UNSAFE, ids=str)
def test_route__nobody_signed_in__is_turned_away(route: Route, world: World) -> None:
    recipe = {**RECIPES, **STATELESS}[route]
    call = recipe.arrange(world)
    with watch() as changes:
        answer = send(Client(), route, call)

    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")
    assert untouched(changes) == []


@pytest.mark.parametrize(
    "route", [route for route in KNOWN if "{key}" in route.path or "{pk}" in route.path], ids=str
)
def test_route__on_a_record__needs_the_version_seen(route: Route, world: World, person: Persona) -> None:
    recipe = RECIPES[route]
    admin = person("admin")
    call = recipe.arrange(world)
    if call.if_match is None:
        pytest.fail(f"{route} writes to a record; its recipe must name the version seen")

    assert kept(admin, route, call, if_match="", status=428) == []
    assert kept(admin, route, call, if_match=f'"{call.if_match + 1}"', status=412) == []
    assert kept(admin, route, call, if_match="yesterday's", status=400) == []


def test_token__with_the_scope_rest__does_what_its_role_may(world: World, program: Persona) -> None:
    operator = program(scopes=["rest"], roles=["operator"])
    viewer = program(scopes=["rest"], roles=["viewer"])

    assert done(operator, ROTATE, RECIPES[ROTATE], RECIPES[ROTATE].arrange(world)) == []
    assert refused(viewer, ROTATE, RECIPES[ROTATE], RECIPES[ROTATE].arrange(world)) == []


def test_token__without_the_scope_rest__does_nothing_here(world: World, program: Persona) -> None:
    server = program(scopes=["ruleset:read", "events:write"], roles=["operator"], environment="production")

    assert refused(server, ROTATE, RECIPES[ROTATE], RECIPES[ROTATE].arrange(world)) == []


@pytest.mark.parametrize("route", list(STATELESS), ids=str)
def test_stateless_route__succeeding__writes_no_audit_event(
    route: Route, world: World, person: Persona
) -> None:
    recipe = STATELESS[route]
    call = recipe.arrange(world)
    with watch() as changes:
        answer = send(person("admin"), route, call)

    assert 200 <= answer.status_code < 300, answer.content
    assert changes.audit == []


# --- the matrix notices when its subject is broken --------------------------------------------------------------------


def test_refused__permission_check_removed__is_noticed(
    world: World, person: Persona, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = RECIPES[TOKENS]
    call = recipe.arrange(world)
    viewer = person("viewer")
    monkeypatch.setattr(Actor, "may", lambda *_, **__: True)

    found = refused(viewer, TOKENS, recipe, call)

    assert found[:2] == ["changed core_apitoken", "changed core_auditevent"]
    assert "wrote the audit event core.create_token" in found
    assert "left the security log []" in found


def test_refused__security_log_forgotten__is_noticed(
    world: World, person: Persona, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = RECIPES[TOKENS]
    monkeypatch.setattr(security, "record", lambda *_, **__: None)

    assert refused(person("viewer"), TOKENS, recipe, recipe.arrange(world)) == ["left the security log []"]


def test_done__audit_forgotten__is_noticed(
    world: World, person: Persona, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = RECIPES[TOKENS]
    call = recipe.arrange(world)
    monkeypatch.setattr(audit, "append", lambda **_: None)

    assert done(person("admin"), TOKENS, recipe, call) == [
        "wrote the audit events [] instead of one core.create_token"
    ]


def test_kept__version_check_removed__is_noticed(
    world: World, person: Persona, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = RECIPES[ROTATE]
    call = recipe.arrange(world)
    monkeypatch.setattr(operations, "Stale", _NeverRaised)

    found = kept(person("admin"), ROTATE, call, if_match='"99"', status=412)

    assert found != []


class _NeverRaised(Exception):
    """Stands where `Stale` stood: the handler does not know it, so the caller sees another answer."""
