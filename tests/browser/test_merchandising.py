"""A merchandiser's morning in a real browser: pin and boost for a window, look at the preview, publish, be served."""

import os
from collections.abc import Iterator

import pytest
from django.db import connections
from django.utils import timezone
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from controlplane.core.models import RoleGrant, User
from controlplane.rulesets import selectors as rulesets
from controlplane.rulesets import services as publishing
from tests.browser.running import Web
from tests.overrides.conftest import AT, stock

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PASSWORD = "a long enough password"
SWITCHES = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def web(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with Web(tmp_path_factory.mktemp("web")) as running:
        yield running


@pytest.fixture
def browser(transactional_db: None) -> Iterator[Browser]:
    """Chromium for one test: its driver must be gone before the database is emptied."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=SWITCHES
        )
        yield chromium
        chromium.close()
        connections.close_all()  # under the driver's event loop Django keeps connections of its own


@pytest.fixture
def page(browser: Browser, web: Web, transactional_db: None) -> Iterator[Page]:
    """A page in Berlin, signed in as a merchandiser; a complaint of our own scripts or the content policy fails the test."""
    stock()
    publishing.publish("production", cause="test", at=AT)
    mona = User.objects.create(username="mona", is_staff=True, date_joined=timezone.now())
    mona.set_password(PASSWORD)
    mona.save()
    RoleGrant.objects.create(user=mona, role="merchandiser", surface="")
    complaints: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type == "error" and "/overrides/" in str(message.location.get("url")):
            complaints.append(message.text)

    context = browser.new_context(
        viewport={"width": 1440, "height": 900}, timezone_id="Europe/Berlin", base_url=web.url
    )
    page = context.new_page()
    page.on("console", note)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto("/login/")
    page.fill("input[name=username]", "mona")
    page.fill("input[name=password]", PASSWORD)
    page.click("button[type=submit]")
    expect(page.get_by_role("heading", name="What needs you now")).to_be_visible()
    yield page
    context.close()
    assert complaints == []


def slate(page: Page, heading: str) -> list[str]:
    """Item ids of one of the preview's slates, top to bottom."""
    tiles = page.get_by_role("region", name=heading).locator("[data-item]")
    return [str(tile.get_attribute("data-item")) for tile in tiles.all()]


def publish(page: Page) -> None:
    page.get_by_role("link", name="Publish").click()
    page.get_by_role("button", name="Publish").click()
    expect(page.get_by_text("carries it")).to_be_visible()


def test_merchandiser__pins_and_boosts_for_a_window__sees_the_preview_and_it_is_served(page: Page) -> None:
    page.goto("/overrides/override/add/")
    page.locator("[name=title]").fill("Launch of lamps")
    expect(page.locator("[name=key]")).to_have_value("launch-of-lamps")
    page.get_by_label("Feed", exact=True).check()
    search = page.get_by_label("Find items by title or id")
    for word, title in (("even", "Even mug"), ("gone", "Gone")):
        search.fill(word)
        page.get_by_role("button", name=title).click()
    page.fill("[name=position]", "2")
    page.fill("[name=starts_at]", "2026-03-01T08:00")
    page.fill("[name=ends_at]", "2099-03-06T08:00")
    page.fill("[name=reason]", "launch")
    page.get_by_text("Request attributes and candidates").click()
    page.fill("[name=preview_candidates]", "a\nb\nc\nd")
    page.get_by_role("button", name="Preview").click()

    expect(page.get_by_text("4 positions change")).to_be_visible()
    assert slate(page, "Without the rule") == ["a", "b", "c", "d"]
    assert slate(page, "With the rule") == ["a", "e", "b", "c"]
    expect(page.get_by_text("it is out of stock")).to_be_visible()

    page.get_by_role("button", name="Create").click()
    expect(page.get_by_text("Not live here")).to_be_visible()
    publish(page)
    expect(page.get_by_text("Live", exact=True)).to_be_visible()

    page.goto("/overrides/override/add/")
    page.locator("[name=title]").fill("Coats")
    page.get_by_label("Feed", exact=True).check()
    page.select_option("[name=type]", "boost")
    expect(page.locator("[name=position]")).to_be_hidden()
    page.fill("[name=factor]", "2.5")
    page.get_by_text("Conditions, priority, further windows").click()
    page.fill("[name=condition]", '{"category": "coats"}')
    page.fill("[name=reason]", "autumn")
    page.get_by_role("button", name="Create").click()
    publish(page)

    feed = rulesets.sections(rulesets.head("production"))["surface:feed"]
    assert [(body["key"], body["type"], body["windows"]) for body in feed["overrides"]] == [
        ("coats", "boost", []),
        ("launch-of-lamps", "pin", [["2026-03-01T07:00:00Z", "2099-03-06T07:00:00Z"]]),
    ]


def test_form__time_the_clocks_skip__is_said_at_the_field(page: Page) -> None:
    page.goto("/overrides/override/add/")
    page.locator("[name=title]").fill("Night")
    page.fill("[name=starts_at]", "2026-03-29T02:30")
    page.fill("[name=reason]", "x")
    page.get_by_role("button", name="Create").click()

    expect(page.get_by_role("alert").filter(has_text="does not exist in Europe/Berlin")).to_be_visible()


def test_form__narrow_screen__fits(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto("/overrides/override/add/")

    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth") is True
