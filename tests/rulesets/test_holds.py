"""Holds: what was rolled back stays back, what protects stays current, and releasing says first what it will do."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.conf import settings

from controlplane.core.actors import Actor
from controlplane.core.errors import Conflict, Forbidden, InvalidInput
from controlplane.core.models import AuditEvent, SecurityEvent
from controlplane.core.policies import ApprovalRequired
from controlplane.rulesets import selectors, services
from controlplane.rulesets.difference import difference
from controlplane.rulesets.models import Hold, Revision
from tests.rulesets import sources
from tests.rulesets.sources import NOW

LATER = NOW + timedelta(hours=1)
TOMORROW = NOW + timedelta(days=1)


def publish(*, at: datetime = NOW) -> services.Published:
    return services.publish("production", cause="test", at=at)


def hold(operator: Actor, *, back_to: int = 1, named: list[str] | None = None) -> Hold:
    made, _ = services.set_hold(
        environment="production",
        from_revision=back_to,
        reason="sales fell",
        actor=operator,
        at=LATER,
        expires_at=TOMORROW,
        sources=named,
    )
    return made


def overrides_served() -> dict[str, float]:
    return {body["key"]: body["factor"] for body in section()["overrides"]}


def blocked() -> list[str]:
    shared = selectors.sections(selectors.head("production"))["shared"]
    return [item for body in shared["kill_switches"] for item in body["items"]]


def section() -> dict[str, Any]:
    found: dict[str, Any] = selectors.sections(selectors.head("production"))["surface:home-feed"]
    return found


@pytest.fixture
def two_revisions(production: str) -> None:
    sources.boost("summer", 1.2)
    publish()
    sources.boost("summer", 9.0)
    publish()


@pytest.mark.usefixtures("two_revisions")
def test_hold__three_recompiles_and_an_edit_elsewhere_later__still_serves_what_was_held(
    operator: Actor,
) -> None:
    hold(operator)
    assert overrides_served() == {"summer": 1.2}
    assert Revision.objects.count() == 3

    for minute in range(3):
        assert not publish(at=LATER + timedelta(minutes=minute)).changed
    sources.guardrail("toxic")
    sources.switch("recall", ["a"])
    sources.boost("summer", 4.0)
    edited = publish(at=LATER + timedelta(minutes=4))

    assert edited == services.Published("production", 4, changed=True, waiting=("overrides",))
    assert overrides_served() == {"summer": 1.2}
    assert [body["key"] for body in section()["guardrails"]] == ["toxic"]
    assert blocked() == ["a"]


@pytest.mark.usefixtures("two_revisions")
def test_carry__an_edit_of_a_held_source__is_saved_and_not_served(operator: Actor) -> None:
    hold(operator)
    sources.boost("summer", 4.0)

    assert services.carry("production") == {
        "environment": "production",
        "revision": 3,
        "status": "held",
        "held": ["overrides"],
    }


@pytest.mark.usefixtures("two_revisions")
def test_release__after_looking_at_the_difference__serves_what_was_saved(operator: Actor) -> None:
    held = hold(operator)
    sources.boost("summer", 4.0)

    now_served, then_served = services.preview_release(held, at=LATER)
    assert [change.sentence for change in difference(now_served, then_served)] == [
        "boost summer 1.2 → 4 on home-feed"
    ]
    assert overrides_served() == {"summer": 1.2}

    services.release_hold(hold=held, actor=operator, at=LATER)
    assert publish(at=LATER).changed
    assert overrides_served() == {"summer": 4.0}
    with pytest.raises(Conflict):
        services.release_hold(hold=held, actor=operator, at=LATER)


@pytest.mark.usefixtures("two_revisions")
def test_hold__whose_time_is_over__is_released_by_the_sweep(operator: Actor) -> None:
    held = hold(operator)

    assert services.expire_holds(at=TOMORROW - timedelta(seconds=1)) == []
    assert [row.pk for row in services.expire_holds(at=TOMORROW)] == [held.pk]
    publish(at=TOMORROW)
    assert overrides_served() == {"summer": 9.0}
    assert AuditEvent.objects.filter(operation="rulesets.release_hold", actor_id="beat").count() == 1


@pytest.mark.usefixtures("two_revisions")
def test_hold__without_sources_named__leaves_catalogue_and_safeguards_current(operator: Actor) -> None:
    assert hold(operator).sources == ["overrides"]


@pytest.mark.usefixtures("two_revisions")
def test_hold__of_a_safeguard__needs_two_people_and_writes_nothing(operator: Actor) -> None:
    with pytest.raises(ApprovalRequired, match="takes two people"):
        hold(operator, named=["guardrails", "overrides"])

    assert (Hold.objects.count(), Revision.objects.count()) == (0, 2)
    assert list(SecurityEvent.objects.values_list("operation", "code")) == [
        ("rulesets.set_hold", "approval_required")
    ]


@pytest.mark.usefixtures("two_revisions")
def test_hold__by_somebody_who_may_not__is_refused_and_logged() -> None:
    viewer = Actor(kind="user", id="8", name="Vic", grants=frozenset({("viewer", None)}))

    with pytest.raises(Forbidden):
        hold(viewer)
    assert (Hold.objects.count(), Revision.objects.count(), AuditEvent.objects.count()) == (0, 2, 0)
    assert list(SecurityEvent.objects.values_list("operation", "actor_id")) == [("rulesets.set_hold", "8")]


@pytest.mark.usefixtures("two_revisions")
def test_hold__of_what_is_held_already__is_a_conflict(operator: Actor) -> None:
    hold(operator)
    with pytest.raises(Conflict, match="already held"):
        hold(operator, back_to=2)


@pytest.mark.usefixtures("two_revisions")
def test_hold__bad_input__names_the_field(operator: Actor) -> None:
    with pytest.raises(InvalidInput) as refusal:
        hold(operator, named=["overides"])
    assert refusal.value.errors[0].to_json() == {
        "field": "sources",
        "message": "unknown: overides",
        "remedy": "Choose from catalog, guardrails, overrides, switches.",
    }
    with pytest.raises(InvalidInput) as refusal:
        services.set_hold(
            environment="production", from_revision=1, reason="x", actor=operator, at=LATER, expires_at=NOW
        )
    assert refusal.value.errors[0].field == "expires_at"


@pytest.mark.usefixtures("two_revisions")
def test_hold__while_another_source_is_broken__is_set_all_the_same(operator: Actor) -> None:
    sources.put("guardrails", "x", "surface:*", {"raises": "broken"})

    hold(operator)
    assert overrides_served() == {"summer": 1.2}


def test_hold__sources_in_settings__are_sources() -> None:
    assert (
        set(settings.RULESET_SAFEGUARDS) < set(settings.RULESET_STAYS_CURRENT) < set(settings.RULESET_SOURCES)
    )
