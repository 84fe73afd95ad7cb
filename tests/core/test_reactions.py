"""Reactions: rows written with the operation, carried out by a sweep, retried, given up loudly."""

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import connection, transaction
from pytest_django import Settings

from controlplane.core import reactions
from controlplane.core.models import Reaction
from controlplane.core.operations import operation
from controlplane.core.registry import register
from tests.core import hooks
from tests.core.conftest import ADMIN, AT

pytestmark = pytest.mark.django_db


@register("tests.speak", title="Speak", publishes=True)
def _speak() -> None:
    """An operation only these tests know."""


@register("tests.whisper", title="Whisper")
def _whisper() -> None:
    """One that publishes nothing."""


@pytest.fixture(autouse=True)
def _handlers(settings: Settings) -> Iterator[None]:
    hooks.HANDLED.clear()
    settings.REACTIONS = {
        "rulesets.publish": "tests.core.hooks.handles",
        "after:tests.whisper": "tests.core.hooks.handles",
    }
    yield
    hooks.HANDLED.clear()


def do(name: str = "tests.speak", *, environment: str = "production", subject: str = "tests.thing:1") -> None:
    with operation.batch(name, by=ADMIN, subject=subject, at=AT, environment=environment):
        pass


def test_enqueue__operation_that_publishes__writes_one_row_with_it() -> None:
    do()
    do("tests.whisper")

    assert list(Reaction.objects.values_list("key", "operation", "environment", "due_at")) == [
        ("rulesets.publish", "tests.speak", "production", AT),
        ("after:tests.whisper", "tests.whisper", "production", AT),
    ]


def test_enqueue__operation_fails__leaves_no_row() -> None:
    with pytest.raises(ZeroDivisionError), operation.batch("tests.speak", by=ADMIN, subject="x", at=AT):
        _ = 1 / 0

    assert Reaction.objects.count() == 0


def test_deliver__alike_and_due_together__are_carried_out_once() -> None:
    for subject in ("tests.thing:1", "tests.thing:2", "tests.thing:3"):
        do(subject=subject)
    do(environment="staging")
    later = AT + timedelta(minutes=1)

    assert reactions.deliver(at=later) == {"done": 4, "failed": 0, "dead": 0}

    assert [("tests.thing:1", "production", later), ("tests.thing:1", "staging", later)] == hooks.HANDLED
    assert set(Reaction.objects.values_list("done_at", "attempts")) == {(later, 1)}
    assert reactions.deliver(at=later) == {"done": 0, "failed": 0, "dead": 0}


def test_deliver__not_due_yet__waits() -> None:
    do()

    assert reactions.deliver(at=AT - timedelta(seconds=1))["done"] == 0
    assert hooks.HANDLED == []


def test_deliver__handler_fails__is_rolled_back_retried_later_and_given_up_in_the_end(
    settings: Settings,
) -> None:
    settings.REACTIONS = {"rulesets.publish": "tests.core.hooks.fails"}
    do()

    assert reactions.deliver(at=AT) == {"done": 0, "failed": 1, "dead": 0}

    row = Reaction.objects.get()
    assert (row.attempts, row.due_at, row.payload) == (1, AT + timedelta(seconds=1), {})
    assert "no route to anywhere" in row.error
    assert reactions.deliver(at=AT)["failed"] == 0

    delays, now, outcome = [], AT, {}
    for _ in range(9):
        now = Reaction.objects.get().due_at
        outcome = reactions.deliver(at=now)
        delays.append((Reaction.objects.get().due_at - now).total_seconds())
    assert delays == [2, 4, 8, 16, 32, 64, 128, 256, 300]
    assert outcome == {"done": 0, "failed": 0, "dead": 1}
    assert Reaction.objects.get().dead_at == now
    assert reactions.deliver(at=now + timedelta(days=1)) == {"done": 0, "failed": 0, "dead": 0}


def test_deliver__one_kind_fails__the_others_are_carried_out(settings: Settings) -> None:
    settings.REACTIONS = {**settings.REACTIONS, "rulesets.publish": "tests.core.hooks.fails"}
    do()
    do("tests.whisper")

    assert reactions.deliver(at=AT) == {"done": 1, "failed": 1, "dead": 0}


def test_deliver__handler_no_longer_in_the_settings__blocks_nobody(settings: Settings) -> None:
    do()
    do("tests.whisper")
    settings.REACTIONS = {"after:tests.whisper": "tests.core.hooks.handles"}

    assert reactions.deliver(at=AT) == {"done": 1, "failed": 1, "dead": 0}
    assert "KeyError" in Reaction.objects.get(key="rulesets.publish").error


@pytest.mark.django_db(transaction=True)
def test_deliver__row_held_by_another_deliverer__is_skipped() -> None:
    do()
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            list(Reaction.objects.select_for_update())
            held.set()
            release.wait(10)
        connection.close()

    other = threading.Thread(target=hold)
    other.start()
    try:
        assert held.wait(10)
        assert reactions.deliver(at=AT) == {"done": 0, "failed": 0, "dead": 0}
    finally:
        release.set()
        other.join()
    assert reactions.deliver(at=AT)["done"] == 1
