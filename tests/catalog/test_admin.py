"""The catalogue's pages as a person meets them: what a form saves, what it refuses, and how."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from controlplane.catalog import services
from controlplane.catalog.models import Attribute, Audience, Environment, Surface
from controlplane.core.models import AuditEvent, RoleGrant, User
from tests.catalog.conftest import ADMIN, AT, upload

pytestmark = pytest.mark.django_db

SURFACE = {
    "key": "feed", "title": "Feed", "owner": "ada", "kind": "home-feed", "slots": "6", "fallback": "a\n\n b \n",
    "fallback_chain": "", "minors": "on", "log_rate": "2.5", "note": "",
}  # fmt: skip


def browser(role: str) -> Client:
    user = User.objects.create(username=role, is_staff=True, date_joined=AT)
    RoleGrant.objects.create(user=user, role=role)
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def page(model: str, row: Any | None = None) -> str:
    if row is None:
        return reverse(f"admin:catalog_{model}_add")
    return reverse(f"admin:catalog_{model}_change", args=[row.pk])


def test_surface_form__filled_in__creates_the_content_it_stands_for() -> None:
    response = browser("operator").post(page("surface"), SURFACE)

    surface = Surface.objects.get()
    assert (response.status_code, response["Location"]) == (302, page("surface", surface))
    assert surface.newest().content == {
        "kind": "home-feed", "slots": 6, "fallback": ["a", "b"], "fallback_chain": [], "sensitive": False,
        "minors": True, "log_rate": 250,
    }  # fmt: skip


def test_surface_form__saved_unchanged__adds_no_version(feed: Surface) -> None:
    operator = browser("operator")
    shown = operator.get(page("surface", feed)).context["form"]
    posted = {
        name: "" if value is None else value for name, value in shown.initial.items() if value is not False
    }

    response = operator.post(page("surface", feed), posted)

    assert response.status_code == 302, response.context["form"].errors
    assert feed.versions.count() == 1


def test_surface_form__somebody_saved_meanwhile__keeps_what_was_typed(feed: Surface) -> None:
    operator = browser("operator")
    services.save_surface(feed, title="Theirs", actor=ADMIN, at=AT)

    response = operator.post(page("surface", feed), SURFACE | {"title": "Mine", "expects": "1"})

    assert response.status_code == 200
    assert "Somebody saved this while you were editing" in response.content.decode()
    assert "Mine" in response.content.decode()
    assert Surface.objects.get().title == "Theirs"


def test_surface_form__chain_to_nowhere__says_so_at_its_field() -> None:
    response = browser("operator").post(page("surface"), SURFACE | {"fallback_chain": "ghost"})

    assert "There is no surface ghost" in str(response.context["form"].errors["fallback_chain"])
    assert Surface.objects.count() == 0


@pytest.mark.parametrize("condition", ["{", "[1]", '{"country": {"$like": 1}}', '{"a": 1, "a": 2}', "{}"])
def test_audience_form__condition_wrong__says_so_at_its_field(condition: str) -> None:
    body = {"key": "de", "title": "Germans", "owner": "ada", "condition": condition}

    response = browser("merchandiser").post(page("audience"), body)

    assert list(response.context["form"].errors) == ["condition"]
    assert Audience.objects.count() == 0


def test_audience_page__shown_and_saved__keeps_the_condition(germans: Audience) -> None:
    merchandiser = browser("merchandiser")
    shown = merchandiser.get(page("audience", germans)).context["form"]

    merchandiser.post(page("audience", germans), {**shown.initial, "title": "People in Germany"})

    germans.refresh_from_db()
    assert (germans.title, germans.versions.count()) == ("People in Germany", 1)
    assert germans.newest().content == {"condition": {"country": "DE"}}


def test_environment_form__edited__goes_through_the_operation(production: Environment) -> None:
    values = {"name": "Live", "kind": "production", "colour": "#aa0000", "protected": "on", "expects": "1"}

    browser("operator").post(page("environment", production), values)

    production.refresh_from_db()
    assert (production.name, production.colour, production.protected) == ("Live", "#aa0000", True)
    newest = AuditEvent.objects.order_by("-id").first()
    assert newest is not None
    assert newest.operation == "catalog.save_environment"


def test_environment_form__seen_an_older_version__is_refused(production: Environment) -> None:
    services.save_environment(production, name="Theirs", actor=ADMIN, at=AT)
    values = {"name": "Mine", "kind": "production", "colour": "#aa0000", "expects": "1"}

    response = browser("operator").post(page("environment", production), values)

    assert response.status_code == 200
    assert Environment.objects.get().name == "Theirs"


def test_environment_form__new__is_created() -> None:
    values = {"key": "qa", "name": "QA", "kind": "staging", "colour": "#00aa00"}

    assert browser("operator").post(page("environment"), values).status_code == 302
    assert Environment.objects.get().key == "qa"


def test_attribute_form__made_private__forgets_values() -> None:
    upload({"item_id": "a", "attributes": {"margin": 3}})
    margin = Attribute.objects.get()

    browser("operator").post(page("attribute", margin), {"type": "number", "private": "on", "expects": "1"})

    margin.refresh_from_db()
    assert (margin.private, margin.values_seen, margin.source) == (True, [], "edited")


@pytest.mark.parametrize("model", ["surface", "audience", "environment", "attribute"])
def test_form__opened_or_sent_by_a_viewer__is_forbidden(model: str) -> None:
    viewer = browser("viewer")

    assert viewer.get(page(model)).status_code == 403
    assert viewer.post(page(model), {}).status_code == 403


def test_save__by_a_viewer__changes_nothing(feed: Surface, production: Environment) -> None:
    viewer = browser("viewer")
    before = AuditEvent.objects.count()

    assert viewer.post(page("surface", feed), SURFACE).status_code == 403
    assert viewer.post(page("environment", production), {"name": "x"}).status_code == 403

    assert AuditEvent.objects.count() == before


@pytest.mark.parametrize("model", ["surface", "audience", "environment", "attribute", "item"])
def test_list__with_rows__shows_them(model: str, feed: Surface, germans: Audience) -> None:
    upload(
        {
            "item_id": "sku-1",
            "title": "Blue shoe",
            "image_url": "https://img.example/1.jpg",
            "attributes": {"brand": "Acme"},
        }
    )
    services.publish_surface(feed, environment="production", actor=ADMIN, at=AT)
    expected = {
        "surface": "production (version 1)", "audience": "Germans", "environment": "Production",
        "attribute": "Acme", "item": "https://img.example/1.jpg",
    }  # fmt: skip

    response = browser("viewer").get(reverse(f"admin:catalog_{model}_changelist"))

    assert response.status_code == 200
    assert expected[model] in response.content.decode()


def test_item_page__is_read_only() -> None:
    upload({"item_id": "sku-1", "title": "<b>Blue</b>"})
    operator = browser("admin")

    listed = operator.get(reverse("admin:catalog_item_changelist")).content.decode()

    assert "&lt;b&gt;Blue&lt;/b&gt;" in listed
    assert operator.get(reverse("admin:catalog_item_add")).status_code == 403
