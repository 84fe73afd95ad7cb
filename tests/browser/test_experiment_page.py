"""An analyst reads a result in a real browser: plots on canvas, the switch by keyboard, wide and narrow, light and dark."""

import os
import shutil
from collections.abc import Iterator

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect, sync_playwright
from pytest_django.live_server_helper import LiveServer

from controlplane.core.models import RoleGrant, User
from controlplane.evidence import services as evidence
from controlplane.evidence.services import SummaryRow
from experiments.models import Experiment
from tests.experiments.making import ANALYST, NOW, events, ground, published, result, started
from tests.rulesets.running import until

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
SWITCHES = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
]
# Whether a canvas shows anything: its picture is another than that of an empty one of its size.
DRAWN = """(canvas) => {
  const empty = document.createElement("canvas");
  [empty.width, empty.height] = [canvas.width, canvas.height];
  return canvas.toDataURL() !== empty.toDataURL();
}"""
PICTURE = "(canvas) => canvas.toDataURL()"


@pytest.fixture
def _sessions_end(live_server: LiveServer) -> Iterator[None]:
    """Wait until the server's threads are done with the database, once the browser has let go of them."""
    yield
    until(nobody_else_is_connected, what="the end of the server's sessions")


@pytest.fixture
def browser(_sessions_end: None) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser, live_server: LiveServer) -> Iterator[Page]:
    """A page signed in as an analyst; any complaint in the console or any failed request fails the test."""
    ground()
    user = User.objects.create(username="ana", is_staff=True, date_joined=timezone.now())
    RoleGrant.objects.create(user=user, role="analyst", surface="")
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    context = browser.new_context(
        viewport={"width": 1440, "height": 900}, base_url=live_server.url, reduced_motion="reduce"
    )
    name = settings.SESSION_COOKIE_NAME
    context.add_cookies([{"name": name, "value": client.cookies[name].value, "url": live_server.url}])
    page = context.new_page()
    complaints: list[str] = []
    page.on(
        "console", lambda said: complaints.append(said.text) if said.type in {"error", "warning"} else None
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "response", lambda got: complaints.append(f"{got.status} {got.url}") if got.status >= 400 else None
    )
    yield page
    context.close()
    connection.close()  # Playwright's event loop gives this thread a connection of its own
    assert complaints == []


def nobody_else_is_connected() -> bool:
    """Whether this test's session is the only one; the database of the tests can be dropped only then."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        row = cursor.fetchone()
    return row is not None and row[0] == 0


def open_page(page: Page, experiment: Experiment) -> None:
    page.goto(f"/experiments/experiment/{experiment.pk}/change/")
    page.wait_for_load_state("networkidle")
    page.evaluate("() => document.fonts.ready.then(() => new Promise(requestAnimationFrame))")


def measured() -> Experiment:
    experiment = started(guardrail_metrics=["returns"])
    result(experiment, events({"control": 400, "treatment": 400}, {"control": 0.1, "treatment": 0.25}))
    return experiment


def plot(page: Page, name: str) -> str:
    """The picture on a plot's canvas; fails when nothing is drawn on it."""
    canvas = page.locator(f"[data-plot={name}] canvas").first
    expect(canvas).to_be_visible()
    assert canvas.evaluate(DRAWN), name
    return str(canvas.evaluate(PICTURE))


def fits(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


def test_result__wide_screen__plots_are_drawn_and_the_switch_works_by_keyboard(page: Page) -> None:
    open_page(page, measured())
    expect(page.get_by_text("raises “Shoppers who buy” by 150 %")).to_be_visible()
    relative, over_time = plot(page, "effects"), plot(page, "over-time")
    plot(page, "traffic")

    page.get_by_role("radio", name="relative").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("radio", name="absolute")).to_be_checked()
    until(lambda: plot(page, "effects") != relative, seconds=5, what="the absolute plot")
    page.keyboard.press("ArrowLeft")
    until(lambda: plot(page, "effects") == relative, seconds=5, what="the relative plot again")

    page.get_by_role("combobox", name="Metric", exact=True).select_option("revenue")
    until(lambda: plot(page, "over-time") != over_time, seconds=5, what="the other metric's plot")


def test_result__theme_changes__plots_follow(page: Page) -> None:
    open_page(page, measured())
    light = {name: plot(page, name) for name in ("effects", "over-time", "traffic")}
    page.evaluate("document.documentElement.classList.toggle('dark')")
    page.wait_for_timeout(200)
    assert [name for name, picture in light.items() if plot(page, name) == picture] == []


def test_result__health_sign__says_its_reason_on_focus(page: Page) -> None:
    open_page(page, measured())
    reason = page.get_by_role("tooltip").filter(has_text="The split agrees with the plan")
    expect(reason).to_be_hidden()
    page.get_by_role("button", name="Sample ratio ok").focus()
    expect(reason).to_be_visible()


@pytest.mark.parametrize("address", ["result", "published", "new"])
def test_page__narrow_screen__fits(page: Page, address: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    if address == "new":
        page.goto("/experiments/experiment/add/")
    elif address == "result":
        open_page(page, measured())
        plot(page, "effects")
    else:
        experiment = published(sizes_fixed=True, note="Published as statistics.")
        rows = [
            SummaryRow("purchase", arm, float(day), 100 * day, mean, 0.25)
            for day in range(1, 15)
            for arm, mean in (("control", 0.5), ("treatment", 0.52))
        ]
        evidence.import_summaries(subject=experiment.subject, source="asos", rows=rows, actor=ANALYST, at=NOW)
        open_page(page, experiment)
        plot(page, "checkpoints")
    assert fits(page)


def test_form__arms_added_by_keyboard__are_saved(page: Page) -> None:
    page.goto("/experiments/experiment/add/")
    page.fill("[name=key]", "four")
    page.fill("[name=title]", "Four arms and one more")
    page.select_option("[name=primary_metric]", "purchase")
    page.get_by_role("button", name="Add an arm").press("Enter")
    for row, (key, weight) in enumerate(zip("abcde", ("20", "20", "20", "20", "20"), strict=True)):
        page.fill(f"[name=arm_{row}_key]", key)
        page.fill(f"[name=arm_{row}_weight]", weight)
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_text("Not started yet")).to_be_visible()
    content = Experiment.objects.get().newest().content
    assert [(arm["key"], arm["weight"]) for arm in content["arms"]] == [(key, 2000) for key in "abcde"]
