"""Pages of guardrails and kill switches, and the panels of compliance."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from controlplane.core.models import AuditEvent, RoleGrant, SecurityEvent, User
from controlplane.rulesets import selectors as rulesets
from controlplane.rulesets import services as publishing
from governance.guardrails import rules, services
from governance.guardrails.models import Guardrail, KillSwitch
from tests.guardrails.conftest import BLOCK, CORA, make_guardrail, stock_signals
from tests.overrides.conftest import AT, LATER

pytestmark = pytest.mark.django_db(transaction=True)
LIST = "/guardrails/guardrail/"
SWITCHES = "/guardrails/killswitch/"
FORM = {
    "key": "toxic",
    "title": "Toxic",
    "owner": "cora",
    "action": "block",
    "signal": "toxicity",
    "op": ">=",
    "threshold": "0.8",
    "missing": "skip",
    "status": "live",
    "reason": "policy 4",
}
SWITCH = {"kind": "block_items", "items": "a\nunheard-of", "reason": "batch 17", "key": "recall"}
Person = Callable[[str], Client]


@pytest.fixture
def person() -> Person:
    """A browser signed in as somebody with one role everywhere."""

    def signed_in(role: str) -> Client:
        user = User.objects.create(username=f"{role}-person", is_staff=True, date_joined=timezone.now())
        RoleGrant.objects.create(user=user, role=role, surface="")
        client = Client()
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        return client

    return signed_in


@pytest.fixture
def served(transactional_db: None) -> None:
    stock_signals()
    publishing.publish("production", cause="test", at=AT)


def page(answer: Any) -> str:
    return str(answer.content.decode())


def test_form__filled_in__creates_the_content(served: None, person: Person) -> None:
    answer = person("compliance").post(f"{LIST}add/", FORM)

    assert answer.status_code == 302
    assert Guardrail.objects.get().newest().content == rules.check(dict(BLOCK))


def test_form__content_shown_and_saved_unchanged__adds_no_version(served: None, person: Person) -> None:
    guardrail = make_guardrail(
        condition={"category": "coats"},
        windows=[["2026-03-01T00:00:00Z", None], ["2026-05-01T00:00:00Z", None]],
        surfaces=["feed"],
    )
    client = person("compliance")
    form = client.get(f"{LIST}toxic/change/").context["form"]
    posted = {name: form[name].value() for name in form.fields}
    posted |= {"starts_at": "2026-03-01T00:00"}

    answer = client.post(
        f"{LIST}toxic/change/", {name: value for name, value in posted.items() if value not in (None, "")}
    )

    assert answer.status_code == 302
    assert guardrail.versions.count() == 1


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"threshold": ""}, "threshold"),
        ({"threshold": "nan"}, "threshold"),
        ({"signal": "toxcity"}, "signal"),
        ({"signal": "", "threshold": ""}, "signal"),
        ({"condition": "{"}, "condition"),
        ({"action": "age_gate", "min_age": "200"}, "min_age"),
        ({"action": "region_block", "regions": "germany"}, "regions"),
        ({"starts_at": "2026-03-02T00:00", "ends_at": "2026-03-01T00:00"}, "ends_at"),
        ({"reason": ""}, "reason"),
    ],
)
def test_form__something_wrong__says_so_at_the_field(
    served: None, person: Person, changes: dict[str, str], field: str
) -> None:
    answer = person("compliance").post(f"{LIST}add/", {**FORM, **changes})

    assert (answer.status_code, list(answer.context["form"].errors)) == (200, [field])
    assert Guardrail.objects.count() == 0


def test_reach__posted_form__counts_items_and_writes_nothing(served: None, person: Person) -> None:
    events = AuditEvent.objects.count()
    client = person("viewer")

    counted = page(client.post(f"{LIST}reach/", {**FORM, "threshold": "0.5"}))
    shadow = page(client.post(f"{LIST}reach/", {**FORM, "status": "shadow", "missing": "fail_closed"}))
    unready = page(client.post(f"{LIST}reach/", {**FORM, "threshold": ""}))

    assert "It blocks 3 of 6 items (50.0 %) now. 2 items without toxicity: let through." in counted
    assert "It would block 4 of 6 items (66.7 %) now. 2 items without toxicity: stopped too." in shadow
    assert "Threshold: Is required with a signal. Write the value" in unready
    assert (client.get(f"{LIST}reach/").status_code, AuditEvent.objects.count()) == (405, events)


def test_page__live_guardrail__shows_its_stage_and_its_reach(served: None, person: Person) -> None:
    guardrail = make_guardrail()
    services.publish_guardrail(guardrail, environment="production", actor=CORA, at=AT)

    text = page(person("viewer").get(f"{LIST}toxic/change/"))

    assert 'aria-current="step">\n    <strong>Live</strong>' in text
    assert "It blocks 2 of 6 items (33.3 %) now." in text


def test_verb__withdraw__says_who_must_agree_and_it_stays_live(served: None, person: Person) -> None:
    guardrail = make_guardrail()
    services.publish_guardrail(guardrail, environment="production", actor=CORA, at=AT)
    client = person("compliance")

    asked = page(client.get(f"{LIST}toxic/do/withdraw_guardrail/"))
    answer = client.post(
        f"{LIST}toxic/do/withdraw_guardrail/", {"expects": str(Guardrail.objects.get().row_version)}
    )

    assert "It concerns 2 items now, which may be shown again." in asked
    assert answer.status_code == 409
    assert "takes two people (approver: approver)" in page(answer)
    assert guardrail.live("production").number == 1
    assert SecurityEvent.objects.filter(code="approval_required").count() == 1


def test_list__stages__are_told_and_filtered(served: None, person: Person) -> None:
    for key, status in (("stops", "live"), ("watches", "shadow")):
        guardrail = make_guardrail(key, status=status)
        services.publish_guardrail(guardrail, environment="production", actor=CORA, at=AT)
    make_guardrail("draft")
    client = person("viewer")

    def listed(query: str) -> list[str]:
        return [row.key for row in client.get(f"{LIST}{query}").context["cl"].result_list]

    assert listed("") == ["draft", "stops", "watches"]
    assert listed("?stage=live") == ["stops"]
    assert listed("?stage=shadow") == ["watches"]
    assert listed("?stage=draft") == ["draft"]


def test_throw__first_step__says_what_it_touches_and_throws_nothing(served: None, person: Person) -> None:
    answer = person("compliance").post(f"{SWITCHES}add/", SWITCH)

    text = page(answer)
    reach = answer.context["reach"]
    assert (reach.known, reach.unknown, reach.surfaces, reach.revision) == (
        1,
        ("unheard-of",),
        ("feed", "search"),
        2,
    )
    assert "Throw it now" in text
    assert 'name="items" value="a\nunheard-of"' in text
    assert KillSwitch.objects.count() == 0


def test_throw__confirmed__is_in_the_ruleset(served: None, person: Person) -> None:
    answer = person("operator").post(f"{SWITCHES}add/", {**SWITCH, "confirm": "1"}, follow=True)

    assert "recall is thrown. Ruleset revision 2 carries it." in page(answer)
    shared = rulesets.sections(rulesets.head("production"))["shared"]
    assert [(body["key"], body["items"]) for body in shared["kill_switches"]] == [
        ("recall", ["a", "unheard-of"])
    ]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"items": ""}, "items"),
        ({"kind": "disable_rule", "items": "", "rule": "coats"}, "rule"),
        ({"reason": ""}, "reason"),
        ({"key": "No Key"}, "key"),
        ({"kind": "explode"}, "kind"),
    ],
)
def test_throw__something_wrong__says_so_at_the_field_and_throws_nothing(
    served: None, person: Person, changes: dict[str, str], field: str
) -> None:
    answer = person("compliance").post(f"{SWITCHES}add/", {**SWITCH, "confirm": "1", **changes})

    assert (answer.status_code, list(answer.context["form"].errors)) == (200, [field])
    assert KillSwitch.objects.count() == 0


def test_throw__without_the_right__is_forbidden(served: None, person: Person) -> None:
    answer = person("merchandiser").post(f"{SWITCHES}add/", {**SWITCH, "confirm": "1"})

    assert (answer.status_code, KillSwitch.objects.count()) == (403, 0)


def test_release__compliance__is_told_who_must_agree(served: None, person: Person) -> None:
    switch, _ = services.throw_kill_switch(
        key="recall",
        environment="production",
        kind="block_items",
        items=["a"],
        reason="x",
        actor=CORA,
        at=LATER,
    )
    client = person("compliance")

    shown = page(client.get(f"{SWITCHES}{switch.pk}/change/"))
    answer = client.post(f"{SWITCHES}{switch.pk}/release/", {"expects": "1"})

    assert f"{SWITCHES}{switch.pk}/release/" in shown
    assert answer.status_code == 409
    assert "takes two people (approver: approver)" in page(answer)
    switch.refresh_from_db()
    assert switch.released_at is None


def test_home__compliance__sees_switches_guardrails_and_blocked_items(served: None, person: Person) -> None:
    for key, status, threshold in (("stops", "live", 0.8), ("watches", "shadow", 0.1)):
        guardrail = make_guardrail(key, status=status, threshold=threshold)
        services.publish_guardrail(guardrail, environment="production", actor=CORA, at=AT)
    services.throw_kill_switch(
        key="safe", environment="production", kind="safe_mode", reason="incident", actor=CORA, at=LATER
    )

    panels = {panel.title: panel for panel in person("compliance").get("/").context["panels"]}

    assert (panels["Kill switches thrown"].figure, panels["Kill switches thrown"].tone) == ("1", "bad")
    assert panels["Guardrails"].figure == "1 live, 1 in shadow"
    assert panels["Items blocked"].figure == "2"
    assert next(iter(panels)) == "Kill switches thrown"
