"""Quarantine: what it shows, and re-drive after a fix."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from controlplane.core.actors import Actor
from controlplane.core.errors import Forbidden
from controlplane.core.models import AuditEvent
from controlplane.events import selectors, services
from controlplane.events.models import BufferedEvent, QuarantinedRecord
from tests.events.conftest import NOW, SURFACES, Door, event

Rows = Callable[..., list[tuple[Any, ...]]]
LATER = NOW + timedelta(days=2)


def test_redrive__surface_added_since__record_becomes_an_event_once(door: Door, operator: Actor) -> None:
    door.take_in(event(1, surface="checkout"), event(2, surface="typo"), event(3, type="wish"))
    report = services.redrive(
        environment="production",
        code="unknown_surface",
        surfaces=SURFACES | {"checkout"},
        actor=operator,
        at=LATER,
    )
    assert report.counts == {"accepted": 1, "refused": 1}
    assert [problem.field for _, problem in report.errors] == ["surface"]
    stored = BufferedEvent.objects.get()
    assert (stored.event_id, stored.received_at) == ("e-1", LATER)
    done = QuarantinedRecord.objects.get(event_id="e-1")
    assert (done.outcome, done.redriven_at) == ("accepted", LATER)
    assert QuarantinedRecord.objects.get(event_id="e-2").redriven_at is None
    audit = AuditEvent.objects.get()
    assert (audit.operation, audit.environment) == ("events.redrive", "production")
    again = services.redrive(
        environment="production", surfaces=SURFACES | {"checkout"}, actor=operator, at=LATER
    )
    assert again.counts == {"refused": 2}
    assert BufferedEvent.objects.count() == 1


def test_redrive__event_accepted_meanwhile__duplicate(door: Door, operator: Actor) -> None:
    door.take_in(event(1, surface="checkout"))
    door.take_in(event(1))
    report = services.redrive(
        environment="production", surfaces=SURFACES | {"checkout"}, actor=operator, at=LATER
    )
    assert report.counts == {"duplicate": 1}
    assert QuarantinedRecord.objects.get().outcome == "duplicate"


def test_redrive__future_event_whose_time_has_come__accepted(door: Door, operator: Actor) -> None:
    door.take_in(event(1, occurred_at=(NOW + timedelta(days=1)).isoformat()))
    assert services.redrive(environment="production", surfaces=SURFACES, actor=operator, at=LATER).counts == {
        "accepted": 1
    }


def test_redrive__too_late__only_when_told_to(door: Door, operator: Actor) -> None:
    door.take_in(event(1, occurred_at=(NOW - timedelta(days=40)).isoformat()))
    refused = services.redrive(environment="production", surfaces=SURFACES, actor=operator, at=LATER)
    assert refused.counts == {"refused": 1}
    taken = services.redrive(
        environment="production", surfaces=SURFACES, actor=operator, at=LATER, accept_late=True
    )
    assert taken.counts == {"accepted": 1}


def test_redrive__record_waited_long__is_judged_by_the_day_it_arrived(door: Door, operator: Actor) -> None:
    door.take_in(event(1, surface="checkout"))
    report = services.redrive(
        environment="production", surfaces=None, actor=operator, at=NOW + timedelta(days=60)
    )
    assert report.counts == {"accepted": 1}


def test_redrive__another_environment__untouched(door: Door, operator: Actor) -> None:
    door.take_in(event(1, surface="checkout"))
    assert services.redrive(environment="staging", surfaces=None, actor=operator, at=LATER).counts == {}


def test_redrive__viewer__forbidden_and_nothing_changed(door: Door, viewer: Actor) -> None:
    door.take_in(event(1, surface="checkout"))
    with pytest.raises(Forbidden):
        services.redrive(environment="production", surfaces=None, actor=viewer, at=LATER)
    assert (BufferedEvent.objects.count(), AuditEvent.objects.count()) == (0, 0)
    assert QuarantinedRecord.objects.get().outcome == ""


def test_redrive__same_junk_comes_again_after_redrive__waits_again(door: Door, operator: Actor) -> None:
    door.take_in(event(1, surface="checkout"))
    services.redrive(environment="production", surfaces=None, actor=operator, at=LATER)
    assert selectors.quarantined(waiting=True).count() == 0
    door.take_in(event(1, surface="checkout"))
    assert selectors.quarantined(waiting=True).count() == 1


def test_quarantine_groups__by_reason__count_and_sample(door: Door) -> None:
    wish = event(1, type="wish")
    door.take_in(wish, wish, event(2, type="wish"), event(3, surface="typo"))
    groups = selectors.quarantine_groups(environment="production")
    assert [(group.code, group.field, group.records, group.times_seen) for group in groups] == [
        ("unknown_type", "type", 2, 3), ("unknown_surface", "surface", 1, 1),
    ]  # fmt: skip
    assert '"type":"wish"' in selectors.sample_text(groups[0].sample)


def test_counts__per_type_and_verdict(door: Door) -> None:
    door.take_in(event(1), event(1), event(2, surface="typo"))
    assert selectors.counts(environment="production", since=NOW.date()) == {
        "custom": {"duplicate": 1, "unknown_surface": 1}
    }
    assert selectors.waiting_events() == 1
