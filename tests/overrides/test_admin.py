"""Pages of overrides: form to content and back, refusals at their fields, conflicts of two editors, verbs, list, preview."""

from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from controlplane.core.models import AuditEvent, RoleGrant, User
from controlplane.rulesets import selectors as rulesets
from controlplane.rulesets import services as publishing
from overrides import rules, services
from overrides.forms import OverrideForm
from overrides.models import Override
from tests.overrides.conftest import ADMIN, AT, BOOST, MONA, pin, stock

pytestmark = pytest.mark.django_db(transaction=True)
LIST = "/overrides/override/"
NO_SUCH_TIME = (
    "02:30 on 29 March 2026 does not exist in Europe/Berlin: the clocks go from 02:00 to 03:00."
    " Write 03:00 or a time before 02:00."
)
FORM = {
    "key": "launch",
    "title": "Launch",
    "owner": "mona",
    "type": "pin",
    "surfaces": ["feed"],
    "items": "e\r\n a\t",
    "position": "2",
    "starts_at": "2026-03-01T08:00",
    "ends_at": "2099-07-01T08:00",
    "time_zone": "Europe/Berlin",
    "must_match_filters": "on",
    "reason": "launch",
    "priority": "0",
}


def page(answer: Any) -> str:
    return str(answer.content.decode())


Person = Callable[[str], Client]


@pytest.fixture
def person() -> Person:
    """A browser signed in as somebody with one role everywhere."""

    def signed_in(role: str) -> Client:
        user = User.objects.create(username=f"{role}-person", is_staff=True, date_joined=timezone.now())
        user.set_unusable_password()
        user.save()
        RoleGrant.objects.create(user=user, role=role, surface="")
        client = Client()
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        return client

    return signed_in


@pytest.fixture
def served() -> None:
    stock()
    publishing.publish("production", cause="test", at=AT)


def boost(key: str = "coats", **fields: Any) -> Override:
    return services.create_override(
        key=key, title=key.title(), owner="mona", content={**BOOST, **fields}, actor=MONA, at=AT
    )


def test_form__filled_in__creates_the_content_in_utc(served: None, person: Person) -> None:
    answer = person("merchandiser").post(f"{LIST}add/", FORM)

    override = Override.objects.get()
    assert (answer.status_code, answer["Location"]) == (302, f"{LIST}{override.pk}/change/")
    assert override.newest().content == rules.check(
        pin(
            "e",
            "a",
            position=2,
            windows=[["2026-03-01T07:00:00Z", "2099-07-01T06:00:00Z"]],
            time_zone="Europe/Berlin",
        )
    )


def test_form__content_shown_and_saved_unchanged__adds_no_version(served: None, person: Person) -> None:
    windows = [
        ["2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z"],
        ["2026-03-29T01:00:00Z", None],
    ]
    override = boost(
        windows=windows,
        when={"condition": {"country": "DE"}, "audience": "germans"},
        items=["c"],
        time_zone="Europe/Berlin",
        priority=4,
    )
    content = override.newest().content
    initial = OverrideForm.initial_from(content)
    posted = {name: value for name, value in initial.items() if value not in (None, "", False)}

    answer = person("merchandiser").post(
        f"{LIST}coats/change/", {**posted, "title": "Coats", "owner": "mona", "expects": "1"}
    )

    assert answer.status_code == 302
    assert override.versions.count() == 1
    assert override.newest().content == content


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        (
            {"starts_at": "2026-03-29T02:30"},
            "starts_at",
            NO_SUCH_TIME,
        ),
        ({"ends_at": ""}, "ends_at", "A pin needs an end. Give every window an until."),
        ({"ends_at": "2026-02-01T08:00"}, "ends_at", "Ends before it starts. Put the earlier time first."),
        ({"items": "e\na\ne"}, "items", "Names e twice. Name each once."),
        ({"items": "e, zz"}, "items", "There is no item zz. Name an existing item, or add it first."),
        (
            {"type": "boost", "position": ""},
            "factor",
            "A boost needs a factor. 1.5 ranks half as high again.",
        ),
        ({"type": "boost", "factor": "nan", "position": ""}, "factor", "Enter a number."),
        ({"type": "hide"}, "position", "Has no meaning for a hide. Leave it out."),
        ({"position": "first"}, "position", "Enter a whole number."),
        ({"when_condition": '{"country": '}, "when_condition", None),
        (
            {"when_condition": '{"country": {"$like": "D"}}'},
            "when_condition",
            None,
        ),
        ({"more_windows": "next week"}, "more_windows", None),
        ({"time_zone": "Mars/Base"}, "time_zone", None),
        ({"surfaces": ["fed"]}, "surfaces", None),
        ({"key": "No Key"}, "key", None),
    ],
)
def test_form__something_wrong__says_so_at_the_field_and_keeps_what_was_typed(
    served: None, person: Person, changes: dict[str, Any], field: str, message: str | None
) -> None:
    events = AuditEvent.objects.count()

    answer = person("merchandiser").post(f"{LIST}add/", {**FORM, **changes})

    assert answer.status_code == 200
    errors = answer.context["form"].errors
    assert list(errors) == [field]
    assert message is None or errors[field] == [message]
    assert 'value="Launch"' in page(answer)
    assert (Override.objects.count(), AuditEvent.objects.count()) == (0, events)


def test_form__saved_by_another_meanwhile__shows_both_edits(served: None, person: Person) -> None:
    override = boost()
    services.save_override(override, content={**BOOST, "factor": 7}, actor=ADMIN, at=AT)

    answer = person("merchandiser").post(
        f"{LIST}coats/change/",
        {**FORM, "title": "My title", "type": "boost", "factor": "3", "position": "", "expects": "1"},
    )

    text = page(answer)
    assert "Somebody saved this while you were editing" in text
    assert "&quot;factor&quot;: 7" in text
    assert 'name="factor" value="3"' in text
    assert override.newest().content["factor"] == 7


def test_page__of_live_rule__says_state_and_offers_to_withdraw(served: None, person: Person) -> None:
    override = boost()
    client = person("merchandiser")

    before = page(client.get(f"{LIST}{override.pk}/change/"))
    services.publish_override(override, environment="production", actor=MONA, at=AT)
    after = page(client.get(f"{LIST}{override.pk}/change/"))

    assert ("do/publish_override/" in before, "do/withdraw_override/" in before) == (True, False)
    assert ("do/publish_override/" in after, "do/withdraw_override/" in after) == (False, True)
    assert "Live</span>" in after


def test_verb__publish__says_what_it_touches_and_the_ruleset_carries_it(served: None, person: Person) -> None:
    boost(items=["c", "gone"], condition={"category": "lamps"})
    client = person("merchandiser")

    asked = page(client.get(f"{LIST}coats/do/publish_override/"))
    answer = client.post(f"{LIST}coats/do/publish_override/", {"expects": "1"}, follow=True)

    assert "It touches 1 surface served here (feed)." in asked
    assert "It names 2 items, 1 of them in stock." in asked
    assert "Ruleset revision 2 will carry it to 0 programs that may read this environment." in asked
    assert "Ruleset revision 2 carries it." in page(answer)
    feed = rulesets.sections(rulesets.head("production"))["surface:feed"]
    assert [body["key"] for body in feed["overrides"]] == ["coats"]


@pytest.mark.parametrize("role", sorted(set(settings.ROLES) - {"merchandiser", "admin"}))
def test_verb__publish_without_the_right__is_refused_and_changes_nothing(
    served: None, person: Person, role: str
) -> None:
    override = boost()
    events = AuditEvent.objects.count()

    answer = person(role).post(f"{LIST}coats/do/publish_override/", {"expects": "1"})

    assert answer.status_code == 409
    assert (override.pointers.count(), AuditEvent.objects.count()) == (0, events)


def test_list__states__are_told_and_filtered(served: None, person: Person) -> None:
    for key, windows in (
        ("now", [[None, "2099-01-01T00:00:00Z"]]),
        ("soon", [["2099-01-01T00:00:00Z", None]]),
        ("draft", []),
    ):
        rule = boost(key, windows=windows)
        if key != "draft":
            services.publish_override(rule, environment="production", actor=MONA, at=AT)
    client = person("viewer")

    def listed(query: str = "") -> list[str]:
        return sorted(row.key for row in client.get(f"{LIST}{query}").context["cl"].result_list)

    assert listed() == ["draft", "now", "soon"]
    assert listed("?state=active") == ["now"]
    assert listed("?state=scheduled") == ["soon"]
    assert listed("?state=expired") == []
    assert listed("?state=draft") == ["draft"]
    assert listed("?kind=pin") == []
    assert listed("?surface=feed&kind=boost") == ["draft", "now", "soon"]
    assert listed("?surface=search") == []
    assert listed("?q=soo") == ["soon"]
    assert "from 1 Jan 2099 00:00 UTC" in page(client.get(LIST))


def test_list__more_rules__takes_no_more_queries(served: None, person: Person) -> None:
    client = person("viewer")

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            client.get(LIST)
        return len(captured)

    boost("first")
    queries()
    few = queries()
    for number in range(8):
        services.publish_override(boost(f"r{number}"), environment="production", actor=MONA, at=AT)

    assert queries() == few


def test_preview__posted_form__shows_slates_and_saves_nothing(served: None, person: Person) -> None:
    events = AuditEvent.objects.count()
    client = person("viewer")
    asked = {**FORM, "preview_candidates": "a b c", "preview_at": "2026-04-01T08:00"}

    part = client.post(f"{LIST}preview/", asked, headers={"X-Requested-With": "fetch"})
    whole = client.post(f"{LIST}preview/", asked)

    found = part.context["part"]["preview"]
    assert [place.item for place in found.before] == ["a", "b", "c"]
    assert [place.item for place in found.after] == ["b", "e", "a", "c"]
    assert found.at == "2026-04-01T06:00:00Z"
    assert "<html" not in page(part)
    assert ("<html" in page(whole), "4 of 4 positions change" in page(whole)) == (True, True)
    assert (Override.objects.count(), AuditEvent.objects.count()) == (0, events)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"type": "boost", "position": ""},
            "By factor: A boost needs a factor. 1.5 ranks half as high again.",
        ),
        ({"preview_context": "{"}, "This is not JSON"),
        ({"preview_context": "[]"}, "Write an object such as"),
        ({"preview_surface": "email"}, "Email is not served in production. Publish it there first."),
        ({"preview_at": "soon"}, "&#x27;soon&#x27; is not a time."),
    ],
)
def test_preview__something_missing__says_what(
    served: None, person: Person, changes: dict[str, Any], problem: str
) -> None:
    answer = person("viewer").post(f"{LIST}preview/", {**FORM, **changes})

    assert answer.status_code == 200
    assert problem in page(answer)


def test_preview__only_looked_at__is_refused(served: None, person: Person) -> None:
    assert person("viewer").get(f"{LIST}preview/").status_code == 405


def test_home__merchandiser__sees_what_needs_them(served: None, person: Person) -> None:
    for key, content in (
        ("gone-pin", pin("gone", "a", windows=[[None, "2099-01-01T00:00:00Z"]])),
        ("later", {**BOOST, "windows": [["2099-01-01T00:00:00Z", None]]}),
    ):
        made = services.create_override(
            key=key, title=key, owner="merchandiser-person", content=content, actor=MONA, at=AT
        )
        services.publish_override(made, environment="production", actor=MONA, at=AT)

    panels = {panel.title: panel for panel in person("merchandiser").get("/").context["panels"]}

    assert panels["Rules live now"].figure == "1, 1 mine"
    assert panels["Scheduled"].figure == "1"
    assert panels["Ending within 7 days"].figure == "0"
    stock_panel = panels["Items of live rules that are out of stock"]
    assert [(row.title, row.detail) for row in stock_panel.rows] == [("Gone", "gone, in gone-pin")]
    assert next(iter(panels)) == "Rules live now"
