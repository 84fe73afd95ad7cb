"""The import door: old events in bulk, once."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from controlplane.core.actors import Actor
from controlplane.core.errors import Forbidden
from controlplane.core.models import AuditEvent
from controlplane.events import mover, services
from controlplane.events.importing import import_events
from controlplane.events.models import BufferedEvent
from tests.events.conftest import NOW, event
from tests.events.test_mover import in_lake, once_each


def old(number: int) -> dict[str, Any]:
    return event(number, occurred_at="2019-11-24T00:00:00Z", surface="openbandit")


def test_import_events__old_rows_some_bad__good_ones_reach_the_lake_as_imports(
    dsn: str, lake_url: str, operator: Actor
) -> None:
    bad: list[dict[str, Any]] = [event(8, occurred_at="then"), {"event_id": {1, 2}}]
    rows = [*map(old, range(7)), *bad, old(3)]
    report = import_events(rows, environment="production", actor=operator, at=NOW)
    assert (report.accepted, report.duplicate, report.refused) == (7, 1, 2)
    assert [(line, refusal.code) for line, refusal in report.errors] == [
        (7, "invalid_time"),
        (8, "malformed_json"),
    ]
    assert report.types == {"custom": 7}
    mover.move(lake_url=lake_url, dsn=dsn)
    assert in_lake(lake_url) == once_each(*range(7))
    assert set(BufferedEvent.objects.values_list("source", flat=True)) == {"import"}
    audit = AuditEvent.objects.get()
    assert audit.operation == "events.import_events"


def test_import_events__again_after_pruning__adds_nothing(dsn: str, lake_url: str, operator: Actor) -> None:
    import_events(map(old, range(3)), environment="production", actor=operator, at=NOW)
    mover.move(lake_url=lake_url, dsn=dsn)
    services.prune(at=NOW + timedelta(days=400))
    again = import_events(
        map(old, range(4)), environment="production", actor=operator, at=NOW + timedelta(days=400)
    )
    assert (again.accepted, again.duplicate) == (1, 3)


def test_import_events__more_than_a_chunk__all_in(dsn: str, operator: Actor) -> None:
    report = import_events(map(old, range(12_001)), environment="production", actor=operator, at=NOW)
    assert report.accepted == BufferedEvent.objects.count() == 12_001


def test_import_events__file_ends_in_an_error__nothing_is_left(dsn: str, operator: Actor) -> None:
    def broken() -> Iterator[dict[str, Any]]:
        yield from map(old, range(6_000))
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        import_events(broken(), environment="production", actor=operator, at=NOW)
    assert (BufferedEvent.objects.count(), AuditEvent.objects.count()) == (0, 0)


def test_import_events__viewer__forbidden_before_anything_is_read(dsn: str, viewer: Actor) -> None:
    def unread() -> Iterator[dict[str, Any]]:
        raise AssertionError("read")
        yield {}

    with pytest.raises(Forbidden):
        import_events(unread(), environment="production", actor=viewer, at=NOW)
