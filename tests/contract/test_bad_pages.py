"""Bad input on the pages: a form that says what is wrong, or a plain refusal; never a 500, and nothing written."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib import admin
from django.test import Client

from tests.contract.conftest import Persona
from tests.contract.judging import untouched
from tests.contract.ledger import watch
from tests.contract.test_pages import addresses, pages, populate
from tests.contract.worlds import World

QUERIES = [
    "q=%00", f"q={'x' * 5000}", "q=%FF%22%27--", "p=abc", "p=-1", f"p={'9' * 30}", "o=abc", "o=99.-99", "o=.", "all=",
    "password__startswith=argon2", "secret_hash__startswith=a", "nothing__exact=1", "id__exact=abc", "id__in=%00",
    "e=1", "_to_field=password", "_to_field=id", "_popup=1", "_facets=x", "environment__exact=%E2%98%83", "at__gte=soon",
    "type=%00", "surfaces=nowhere", "key=a%00b", "before=abc&after=x", f"before={'9' * 30}", "q=a&q=b", "%", "=",
]  # fmt: skip
ODD_IDS = ["%00", "abc", "-1", "9" * 40, "1%2F2", "%FF", "..", "_5F", "1_2C2", "%E2%98%83", "%27%20OR%201"]
JUNK = [
    "\x00", "x" * 20_000, "-1", "9" * 40, "NaN", "[]", '{"$regx": 1}', '{"a": NaN}', "[" * 3_000, "é☃\U0001f4a9", " ", "null"
]  # fmt: skip
INNER = ("argon2$", "Traceback", "psycopg")


def faults(answer: Any) -> list[str]:
    found = [f"answered {answer.status_code}"] if answer.status_code >= 500 else []
    return found + [f"shows {word}" for word in INNER if word in answer.content.decode(errors="replace")]


FORMS = sorted(f"/{model._meta.app_label}/{model._meta.model_name}/" for model in admin.site._registry)
LISTS = {"/", *FORMS}


@pytest.fixture
def somebody(world: World, person: Persona) -> Client:
    """An admin in a world with a row of every kind."""
    client = person("admin")
    populate(world, client)
    return client


def test_page__odd_query__never_breaks(world: World, somebody: Client) -> None:
    found = {
        f"{address}?{query[:40]}": said
        for address in dict.fromkeys(["/", *FORMS, *sorted(set(addresses(world)) - LISTS)])
        for query in (QUERIES if address in LISTS else QUERIES[:3])
        if (said := faults(somebody.get(f"{address}?{query}")))
    }

    assert found == {}


def test_page__odd_row__never_breaks(somebody: Client) -> None:
    found = {}
    for pattern in pages():
        if "<" not in pattern:
            continue
        for odd in ODD_IDS:
            address = re.sub(r"<[^>]*>", odd, pattern)
            for answer in (somebody.get(address), somebody.post(address, {})):
                if said := faults(answer):
                    found[address] = said

    assert found == {}


@pytest.mark.parametrize(
    "address",
    [
        "/core/user/?password__startswith=argon2", "/core/user/?password__regex=.", "/core/apitoken/?secret_hash__startswith=a",
        "/core/apitoken/?previous_hash=", "/core/user/?role_grants__user__password__startswith=a",
    ],
)  # fmt: skip
def test_list__narrowed_by_a_secret_column__is_refused(somebody: Client, address: str) -> None:
    assert somebody.get(address).status_code == 400


def test_list__narrowed_by_a_filter_it_shows__is_not_refused(somebody: Client) -> None:
    assert somebody.get("/core/auditevent/?actor_kind=user").status_code == 200
    assert somebody.get("/core/securityevent/?kind=login").status_code == 200


def fields(page: Any) -> list[str]:
    """The names of the inputs of the page's form."""
    text = page.content.decode()
    names = re.findall(r'<(?:input|select|textarea)\b[^>]*\bname="([^"]+)"', text)
    return sorted({name for name in names if name not in {"csrfmiddlewaretoken", "next", "environment"}})


def filled(page: Any) -> dict[str, Any]:
    """What the form would send as it stands."""
    form = page.context.get("form") if page.context else None
    values = {} if form is None else {one.html_name: one.value() for one in form}
    return {name: value for name, value in values.items() if value is not None}


@pytest.mark.parametrize("listing", FORMS)
def test_form__junk_in_any_field__is_a_form_again(listing: str, world: World, somebody: Client) -> None:
    found = {}
    for address in [one for one in addresses(world) if one.startswith(listing) and one != listing]:
        page = somebody.get(address)
        if page.status_code != 200:
            continue
        good = filled(page)
        for junk in JUNK:
            answer = somebody.post(address, {**good, **dict.fromkeys(fields(page), junk), "expects": "999"})
            if said := faults(answer):
                found[f"{address} {junk[:20]!r}"] = said

    assert found == {}


@pytest.mark.parametrize("listing", FORMS)
def test_form__nothing_filled_in__writes_nothing(listing: str, somebody: Client) -> None:
    with watch() as changes:
        answer = somebody.post(f"{listing}add/", {"key": "a\x00b", "title": "\x00", "username": "a\x00b"})

    assert answer.status_code < 500
    assert untouched(changes) == []
