"""Compaction and retention of the lake, and the sweeps that start them."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from controlplane.core.actors import Actor
from controlplane.core.errors import Forbidden, InvalidInput, Stale
from controlplane.core.models import AuditEvent
from controlplane.events import lake, mover, selectors, services, tasks, upkeep
from controlplane.events.lake_lock import lake_lock
from controlplane.events.models import BufferedEvent, RetentionRule
from tests.events.conftest import NOW, Door, event
from tests.events.test_mover import in_lake, once_each

Rows = Callable[..., list[tuple[Any, ...]]]


def test_compact__ten_small_files__one_file_same_events(door: Door, dsn: str, lake_url: str) -> None:
    for number in range(10):
        door.take_in(event(number))
        mover.move(lake_url=lake_url, dsn=dsn)
    table = lake.open_table(lake_url)
    assert table is not None
    assert len(table.file_uris()) == 10
    assert upkeep.compact(lake_url=lake_url, dsn=dsn) == 1
    table = lake.open_table(lake_url)
    assert table is not None
    assert len(table.file_uris()) == 1
    assert in_lake(lake_url) == once_each(*range(10))
    door.take_in(event(10))
    mover.move(lake_url=lake_url, dsn=dsn)
    assert in_lake(lake_url) == once_each(*range(11))


def test_compact__no_lake_yet__does_nothing(dsn: str, lake_url: str) -> None:
    assert upkeep.compact(lake_url=lake_url, dsn=dsn) == 0


def test_retain__days_per_type__drops_exactly_what_is_over(dsn: str, lake_url: str) -> None:
    for number, age in enumerate((0, 5, 6, 20)):
        at = NOW - timedelta(days=age)
        fresh = (at - timedelta(minutes=1)).isoformat()
        Door(dsn, at=at).take_in(
            event(10 + number, occurred_at=fresh),
            event(20 + number, type="identify", name=..., occurred_at=fresh),
        )
        mover.move(lake_url=lake_url, dsn=dsn)
    dropped = upkeep.retain(lake_url=lake_url, dsn=dsn, days_per_type={"custom": 5, "identify": 10}, at=NOW)
    assert dropped == Counter(custom=2, identify=1)
    assert in_lake(lake_url) == once_each(10, 11, 20, 21, 22)
    assert upkeep.retain(lake_url=lake_url, dsn=dsn, days_per_type={"custom": 5}, at=NOW) == Counter()


def test_set_retention__first_then_changed__two_audit_events(dsn: str, operator: Actor) -> None:
    rule = services.set_retention(event_type="click", days=90, actor=operator, at=NOW)
    changed = services.set_retention(
        event_type="click", days=30, actor=operator, at=NOW, expects=rule.row_version
    )
    assert (changed.days, changed.row_version) == (30, 2)
    assert selectors.retention_days() == {"click": 30}
    assert [audit.operation for audit in AuditEvent.objects.all()] == ["events.set_retention"] * 2
    with pytest.raises(Stale):
        services.set_retention(event_type="click", days=10, actor=operator, at=NOW, expects=1)


@pytest.mark.parametrize(("event_type", "days"), [("wish", 1), ("click", 0), ("click", 36_501)])
def test_set_retention__bad_input__refused(dsn: str, operator: Actor, event_type: str, days: int) -> None:
    with pytest.raises(InvalidInput):
        services.set_retention(event_type=event_type, days=days, actor=operator, at=NOW)
    assert RetentionRule.objects.count() == 0


def test_set_retention__viewer__forbidden(dsn: str, viewer: Actor) -> None:
    with pytest.raises(Forbidden):
        services.set_retention(event_type="click", days=1, actor=viewer, at=NOW)
    assert RetentionRule.objects.count() == 0


def test_prune__ids_past_the_window__go_unless_imported_or_not_moved(dsn: str, lake_url: str) -> None:
    long_ago = NOW - timedelta(days=32)
    then = (long_ago - timedelta(minutes=1)).isoformat()
    Door(dsn, at=long_ago).take_in(event(1, occurred_at=then), event(2, occurred_at=then))
    mover.move(lake_url=lake_url, dsn=dsn)
    BufferedEvent.objects.filter(event_id="e-2").update(source="import")
    Door(dsn, at=long_ago).take_in(event(3, occurred_at=then))
    Door(dsn).take_in(event(4))
    assert services.prune(at=NOW) == {"ids": 1, "batches": 0, "quarantined": 0}
    assert sorted(BufferedEvent.objects.values_list("event_id", flat=True)) == ["e-2", "e-3", "e-4"]


def test_prune__old_quarantine__goes(dsn: str, rows: Rows) -> None:
    Door(dsn, at=NOW - timedelta(days=91)).take_in(event(1, type="wish"))
    Door(dsn).take_in(event(2, type="wish"))
    assert services.prune(at=NOW)["quarantined"] == 1
    assert rows("SELECT event_id FROM events_quarantine") == [("e-2",)]


def test_task_move__events_wait__a_child_moves_them(door: Door, own_lake: str) -> None:
    assert tasks.move() == "nothing waits"
    door.take_in(event(1))
    assert tasks.move() == '{"batches": 1, "rows": 1}'
    assert in_lake(own_lake) == once_each(1)
    assert tasks.move() == "nothing waits"


def test_task_compact__lake_locked__leaves_it_to_the_next_sweep(
    door: Door, dsn: str, own_lake: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    door.take_in(event(1))
    monkeypatch.setattr(tasks, "MOVER_WAIT_SECONDS", "0.2")
    with lake_lock(dsn):
        assert tasks.move() == "lake busy"
    assert tasks.move() == '{"batches": 1, "rows": 1}'


def test_task_retain_and_erase__nothing_due__no_child(dsn: str) -> None:
    assert (tasks.retain(), tasks.erase()) == ("no rules", "nothing waits")
