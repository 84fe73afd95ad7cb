"""The audit trail proves itself: append-only, sealed in commit order, and every kind of tampering is seen."""

import base64
import io
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from controlplane.core import audit, sealing, security
from controlplane.core.models import AuditEvent, AuditSeal, SealedEvent, SecurityEvent
from tests.core.conftest import ADMIN, AT

pytestmark = pytest.mark.django_db(transaction=True)
Seal = Callable[[], int]
TRAILS = ("core_auditevent", "core_auditseal", "core_sealedevent", "core_securityevent")


def happen(subject: str = "tests.thing:1", **difference: Any) -> AuditEvent:
    return audit.append(
        operation="tests.happen", subject=subject, actor=ADMIN, at=AT, difference=difference, row_version=1
    )


@contextmanager
def as_intruder() -> Iterator[Any]:
    """A superuser who switches the triggers off: what no role of the product can do, and what seals are against."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        yield cursor


def problems(settings: Settings, **given: Any) -> list[str]:
    verified = sealing.verify(at=AT, anchor=Path(settings.AUDIT_ANCHOR_FILE), **given)
    return list(verified.problems)


@pytest.fixture
def history(seal_all: Seal) -> list[AuditEvent]:
    """Five events under two seals."""
    events = [happen(f"tests.thing:{number}", colour={"to": "red"}) for number in range(3)]
    seal_all()
    events += [happen(f"tests.thing:{number}") for number in (3, 4)]
    seal_all()
    return events


# --- sealing


def test_seal__settled_events__chain_and_anchor(history: list[AuditEvent], settings: Settings) -> None:
    first, second = AuditSeal.objects.order_by("number")
    assert [(one.number, one.first, one.last, one.count) for one in (first, second)] == [
        (1, 1, 3, 3),
        (2, 4, 5, 2),
    ]
    assert (first.previous, second.previous) == (sealing.GENESIS, first.digest)
    assert list(SealedEvent.objects.values_list("position", "event_id")) == [
        (position, event.pk) for position, event in enumerate(history, start=1)
    ]
    anchored = list(sealing.read_anchors(Path(settings.AUDIT_ANCHOR_FILE)))
    assert [(line["number"], line["digest"]) for line in anchored] == [(1, first.digest), (2, second.digest)]
    assert problems(settings) == []


def test_seal__nothing_new__makes_no_seal(history: list[AuditEvent]) -> None:
    assert sealing.seal(at=AT) == 0
    assert AuditSeal.objects.count() == 2


def test_seal__events_commit_out_of_id_order__waits_for_the_older_one(
    seal_all: Seal, settings: Settings
) -> None:
    written, release = threading.Event(), threading.Event()
    slow: list[int] = []

    def write_slowly() -> None:
        with transaction.atomic():
            slow.append(happen("tests.thing:slow").pk)
            written.set()
            release.wait(30)
        connection.close()

    other = threading.Thread(target=write_slowly)
    other.start()
    try:
        assert written.wait(30)
        quick = happen("tests.thing:quick")
        assert slow[0] < quick.pk

        assert sealing.seal(at=AT) == 0
        assert AuditSeal.objects.count() == 0
    finally:
        release.set()
        other.join()

    seal_all()
    assert list(SealedEvent.objects.values_list("position", "event_id")) == [(1, slow[0]), (2, quick.pk)]
    assert problems(settings) == []


def test_seal__another_sealer_holds_the_lock__does_nothing(db: None) -> None:
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext('controlplane.seal'))")
            held.set()
            release.wait(30)
        connection.close()

    other = threading.Thread(target=hold)
    other.start()
    try:
        assert held.wait(30)
        happen()
        with CaptureQueriesContext(connection) as queries:
            assert sealing.seal(at=AT) == 0
        assert not any("core_sealedevent" in query["sql"] for query in queries.captured_queries)
    finally:
        release.set()
        other.join()


def test_seal__died_between_commit_and_anchor__anchors_the_seal_next_time(
    history: list[AuditEvent], settings: Settings, seal_all: Seal
) -> None:
    anchor = Path(settings.AUDIT_ANCHOR_FILE)
    kept = anchor.read_text().splitlines(keepends=True)
    anchor.write_text(kept[0] + kept[1][:20])
    assert problems(settings) == ["seal 2 is not anchored"]

    happen()
    seal_all()

    assert [line["number"] for line in sealing.read_anchors(anchor)][-1] == 3
    assert problems(settings) == []


@pytest.mark.parametrize(
    "value",
    [
        -0.0,
        1e16,
        1.5e300,
        2.0**53,
        1e-7,
        0.1,
        5e-324,
        10**30,
        "ü\u2028",
        [1, [None, True]],
        {"z": 1, "a": {}},
    ],
    ids=str,
)
def test_event__value_that_the_database_respells__still_verifies(
    value: Any, seal_all: Seal, settings: Settings
) -> None:
    happen(value={"to": value})
    seal_all()

    assert problems(settings) == []


def test_event__time_in_another_offset__still_verifies(seal_all: Seal, settings: Settings) -> None:
    local = AT.astimezone(timezone(timedelta(hours=5, minutes=30)))
    audit.append(
        operation="tests.happen", subject="x", actor=ADMIN, at=local, difference={}, row_version=None
    )
    seal_all()

    assert AuditEvent.objects.get().at == AT
    assert problems(settings) == []


# --- tampering

EVENT = "SELECT event_id FROM core_sealedevent WHERE position = "
TAMPERED: dict[str, tuple[str, str]] = {
    "event altered": (
        f"UPDATE core_auditevent SET subject = 'tests.thing:other' WHERE id = ({EVENT} 2)",
        "(tests.happen) was altered",
    ),
    "difference altered": (
        f"""UPDATE core_auditevent SET difference = '{{"colour": {{"to": "blue"}}}}' WHERE id = ({EVENT} 2)""",
        "(tests.happen) was altered",
    ),
    "actor altered": (
        f"UPDATE core_auditevent SET actor_id = '2' WHERE id = ({EVENT} 2)",
        "(tests.happen) was altered",
    ),
    "digest altered": (
        f"UPDATE core_auditevent SET digest = repeat('0', 64) WHERE id = ({EVENT} 2)",
        "(tests.happen) was altered",
    ),
    "event deleted": (
        f"DELETE FROM core_auditevent WHERE id = ({EVENT} 2)",
        "seal 1 covers 3 events; 2 are there",
    ),
    "event and place deleted": (
        f"DELETE FROM core_auditevent WHERE id = ({EVENT} 2); DELETE FROM core_sealedevent WHERE position = 2",
        "seal 1 covers 3 events; 2 are there",
    ),
    "two places exchanged": (
        (
            "UPDATE core_sealedevent SET position = 99 WHERE position = 1;"
            "UPDATE core_sealedevent SET position = 1 WHERE position = 2;"
            "UPDATE core_sealedevent SET position = 2 WHERE position = 99"
        ),
        "the events under seal 1 are not those that were sealed",
    ),
    "event moved under another seal": (
        "UPDATE core_sealedevent SET seal_id = 2 WHERE position = 3",
        "seal 1 covers 3 events; 2 are there",
    ),
    "seal altered": (
        "UPDATE core_auditseal SET at = at + interval '1 day' WHERE number = 1",
        "seal 1 was altered",
    ),
    "seal unsigned": (
        "UPDATE core_auditseal SET signature = 'AAAA' WHERE number = 1",
        "seal 1 is not signed",
    ),
    "signature no base64": (
        "UPDATE core_auditseal SET signature = 'é' WHERE number = 1",
        "seal 1 is not signed",
    ),
    "newest seal removed": (
        "DELETE FROM core_sealedevent WHERE seal_id = 2; DELETE FROM core_auditseal WHERE number = 2",
        "seal 2 is anchored but no longer there",
    ),
    "oldest seal removed": (
        "DELETE FROM core_sealedevent WHERE seal_id = 1; DELETE FROM core_auditseal WHERE number = 1",
        "seal 1 is missing",
    ),
    "everything removed": (
        "DELETE FROM core_sealedevent; DELETE FROM core_auditseal; DELETE FROM core_auditevent",
        "seal 1 is anchored but no longer there",
    ),
}


@pytest.mark.parametrize("tampered", TAMPERED)
def test_verify__trail_tampered_with__says_what(
    tampered: str, history: list[AuditEvent], settings: Settings
) -> None:
    statements, expected = TAMPERED[tampered]
    with as_intruder() as cursor:
        cursor.execute(statements)

    assert any(expected in problem for problem in problems(settings)), problems(settings)


def test_verify__seal_forged_with_another_key__is_seen(history: list[AuditEvent], settings: Settings) -> None:
    seal = AuditSeal.objects.get(number=2)
    forged = base64.b64encode(Ed25519PrivateKey.generate().sign(sealing._statement(seal))).decode()
    with as_intruder() as cursor:
        cursor.execute("UPDATE core_auditseal SET signature = %s WHERE number = 2", [forged])

    assert problems(settings) == ["seal 2 is not signed by the trusted key"]


def test_verify__against_another_public_key__trusts_no_seal(
    history: list[AuditEvent], settings: Settings
) -> None:
    stranger = Ed25519PrivateKey.generate().public_key()

    assert problems(settings, public_key=stranger) == [
        "seal 1 is not signed by the trusted key",
        "seal 2 is not signed by the trusted key",
    ]


def test_verify__anchor_differs__is_seen(history: list[AuditEvent], settings: Settings) -> None:
    anchor = Path(settings.AUDIT_ANCHOR_FILE)
    lines = [json.loads(line) for line in anchor.read_text().splitlines()]
    lines[0]["digest"] = "f" * 64
    anchor.write_text("".join(json.dumps(line) + "\n" for line in lines))

    assert problems(settings) == ["seal 1 differs from its anchor"]


def test_verify__anchor_removed__is_seen(history: list[AuditEvent], settings: Settings) -> None:
    Path(settings.AUDIT_ANCHOR_FILE).unlink()

    assert problems(settings) == [f"{settings.AUDIT_ANCHOR_FILE} holds no anchor, but there are 2 seals"]


def test_verify__name_of_a_person_erased_elsewhere__still_verifies(
    history: list[AuditEvent], settings: Settings
) -> None:
    assert not AuditEvent.objects.filter(actor_hash__contains="ada").exists()
    assert problems(settings) == []


def test_verify_audit__intact__says_so(history: list[AuditEvent]) -> None:
    told = io.StringIO()

    call_command("verify_audit", stdout=told)

    assert "intact: 5 events, 2 seals, 0 not yet sealed" in told.getvalue()


def test_verify_audit__altered_event__fails_and_names_it(history: list[AuditEvent]) -> None:
    wrong = io.StringIO()
    with as_intruder() as cursor:
        cursor.execute("UPDATE core_auditevent SET operation = 'tests.other' WHERE id = %s", [history[0].pk])

    with pytest.raises(CommandError, match="not intact"):
        call_command("verify_audit", stderr=wrong)

    assert f"audit event {history[0].pk} (tests.other) was altered" in wrong.getvalue()


def test_verify_audit__event_waits_too_long__fails(db: None) -> None:
    happen()

    with pytest.raises(CommandError, match="not intact"):
        call_command("verify_audit", stderr=io.StringIO())


# --- append-only


@pytest.mark.parametrize("table", TRAILS)
@pytest.mark.parametrize("change", ["UPDATE {} SET {} = {}", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
def test_trail__changed_by_anyone__is_refused_by_the_table(
    table: str, change: str, history: list[AuditEvent]
) -> None:
    security.record("login", at=AT, actor=ADMIN)
    column = {"core_auditseal": "number", "core_sealedevent": "position"}.get(table, "id")
    counts = (AuditEvent.objects.count(), AuditSeal.objects.count(), SecurityEvent.objects.count())

    with pytest.raises(DatabaseError, match="are never changed or removed"), connection.cursor() as cursor:
        cursor.execute(change.format(table, column, column))

    assert (AuditEvent.objects.count(), AuditSeal.objects.count(), SecurityEvent.objects.count()) == counts
