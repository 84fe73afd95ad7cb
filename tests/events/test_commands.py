"""The commands an operator runs by hand: on the record, in somebody's name, and refused when that person may not."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from controlplane.core.models import AuditEvent, RoleGrant, User
from controlplane.events.models import BufferedEvent, Erasure
from tests.events.conftest import Door, event
from tests.events.test_mover import in_lake, once_each


def user(name: str, role: str) -> User:
    made = User.objects.create_user(username=name)
    RoleGrant.objects.create(user=made, role=role)
    return made


def output_of(*arguments: str) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue().strip()


def test_move_events__two_wait__says_so_and_they_stand_in_the_lake(door: Door, own_lake: str) -> None:
    door.take_in(event(1), event(2))
    assert output_of("move_events") == "moved 2 events in 1 batches"
    assert in_lake(own_lake) == once_each(1, 2)


def test_erase_user__by_an_operator__done_and_on_the_record(door: Door, own_lake: str) -> None:
    user("olga", "operator")
    door.take_in(event(1), event(2))
    said = output_of("erase_user", "production", "user-1", "--reason", "asked by letter", "--by", "olga")
    assert "done" in said
    assert in_lake(own_lake) == once_each(2)
    erasure = Erasure.objects.get()
    assert (erasure.status, erasure.user_id, erasure.reason) == ("done", "", "asked by letter")
    assert AuditEvent.objects.count() == 2


@pytest.mark.parametrize("by", ["vera", "nobody"])
def test_erase_user__by_somebody_who_may_not__refused_and_nothing_written(
    door: Door, own_lake: str, by: str
) -> None:
    user("vera", "viewer")
    door.take_in(event(1))
    with pytest.raises(CommandError):
        call_command("erase_user", "production", "user-1", "--reason", "x", "--by", by)
    assert (Erasure.objects.count(), AuditEvent.objects.count()) == (0, 0)


def test_redrive_quarantine__too_late_accepted_on_demand__taken_in(door: Door) -> None:
    user("olga", "operator")
    door.take_in(event(1, occurred_at="2020-01-01T00:00:00Z"))
    assert output_of("redrive_quarantine", "production", "--by", "olga") == "refused 1"
    assert output_of("redrive_quarantine", "production", "--by", "olga", "--accept-late") == "accepted 1"
    assert output_of("redrive_quarantine", "production", "--by", "olga") == "none waited"
    assert BufferedEvent.objects.get().event_id == "e-1"
