"""Every page of the admin: nobody gets in unsigned, a viewer changes nothing, and no address breaks."""

from collections.abc import Iterator

import pytest
from django.conf import settings
from django.contrib import admin
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from controlplane.core.actors import Actor
from tests.contract.conftest import Persona
from tests.contract.judging import send, untouched
from tests.contract.ledger import watch
from tests.contract.recipes import RECIPES
from tests.contract.routes import Route
from tests.contract.worlds import World

OPEN = {"/login/", "/logout/", "/healthz", "/readyz", "/metrics"}
FILLED = {
    "verb": "nothing",
    "url": "nowhere",
    "app_label": "core",
    "content_type_id": "1",
    "extra_context": "",
}


def _walk(patterns: list[URLPattern | URLResolver], prefix: str = "/") -> Iterator[str]:
    for pattern in patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _walk(pattern.url_patterns, path)
        elif not path.startswith(("/api/", "/^")) and "(" not in path:
            yield path


def pages() -> list[str]:
    """Address patterns of all pages that need a person, as Django writes them."""
    return sorted({path for path in _walk(get_resolver().url_patterns) if path not in OPEN})


def populate(world: World, admin_client: Client) -> None:
    """One row at least of every kind that has a route for making it."""
    for route, recipe in RECIPES.items():
        if "{" not in route.path:
            send(admin_client, route, recipe.arrange(world))


def addresses(world: World) -> list[str]:
    """Addresses in which every parameter is filled: rows by the newest of their model, verbs by each that it has."""
    found = []
    prefixes = {
        f"/{model._meta.app_label}/{model._meta.model_name}/": (model, site)
        for model, site in admin.site._registry.items()
    }
    for pattern in pages():
        model, site = next(
            ((m, s) for prefix, (m, s) in prefixes.items() if pattern.startswith(prefix)), (None, None)
        )
        row = model._default_manager.order_by("-pk").first() if model else None
        verbs = [verb.name for verb in getattr(site, "verbs", ())] or ["nothing"]
        for verb in verbs if "verb>" in pattern else ["nothing"]:
            address = pattern
            while "<" in address:
                before, _, rest = address.partition("<")
                parameter, _, after = rest.partition(">")
                name = parameter.rpartition(":")[2]
                values = {**FILLED, "verb": verb}
                address = before + str(values.get(name, row.pk if row else "1")) + after
            found.append(address)
    return found


def test_pages__there_are_some__and_they_include_every_registered_model() -> None:
    found = pages()
    labels = {f"/{model._meta.app_label}/{model._meta.model_name}/" for model in admin.site._registry}

    assert {label for label in labels if label not in found} == set()


def test_page__nobody_signed_in__is_sent_to_the_login(world: World, person: Persona) -> None:
    populate(world, person("admin"))
    strangers = {}
    for address in addresses(world):
        with watch() as changes:
            answers = [Client().get(address), Client().post(address, {})]
        for answer in answers:
            shown = answer.status_code == 200 and b'name="password"' not in answer.content
            if shown or answer.status_code >= 500 or untouched(changes):
                strangers[address] = (answer.status_code, untouched(changes))

    assert strangers == {}


@pytest.mark.parametrize("role", ["nobody", "viewer"])
def test_page__posted_to_by_who_may_only_look__changes_nothing(
    role: str, world: World, person: Persona
) -> None:
    populate(world, person("admin"))
    client = person(None if role == "nobody" else role)
    faults = {}
    for address in addresses(world):
        with watch() as changes:
            answer = client.post(address, {})
        if answer.status_code >= 500 or untouched(changes):
            faults[address] = (answer.status_code, untouched(changes))

    assert faults == {}


@pytest.mark.parametrize("role", settings.ROLES)
def test_page__looked_at_by_every_role__never_breaks(role: str, world: World, person: Persona) -> None:
    populate(world, person("admin"))
    client = person(role)
    broken = {
        address: answer.status_code
        for address in addresses(world)
        if (answer := client.get(address)).status_code >= 500
    }

    assert broken == {}


def test_page__permission_check_removed__is_noticed(
    world: World, person: Persona, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the check in the operation, posting to a token's revocation as a viewer changes it."""
    populate(world, person("admin"))
    viewer = person("viewer")
    monkeypatch.setattr(Actor, "may", lambda *_, **__: True)
    changed = []
    for address in addresses(world):
        with watch() as changes:
            viewer.post(address, {})
        changed += untouched(changes)

    assert changed != []


def test_addresses__every_parameter__is_filled(world: World, person: Persona) -> None:
    populate(world, person("admin"))

    assert [address for address in addresses(world) if "<" in address] == []
    assert Route("POST", "/api/v1/tokens") in RECIPES
