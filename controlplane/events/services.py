"""Operations on events: re-drive what quarantine holds, say how long events stay, erase a person."""

import hashlib
import json
import secrets
from collections.abc import Container, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import psycopg
from django.db import connection, transaction
from django.db.models import Q

from controlplane.catalog.services.attributes import learn
from controlplane.core.actors import Actor
from controlplane.core.errors import FieldError, InvalidInput, Stale
from controlplane.core.operations import BatchReport, operation
from controlplane.core.registry import register
from controlplane.events import selectors
from controlplane.events.buffer import Good, Submission, register_arrays, run, write
from controlplane.events.models import (
    Batch,
    BufferedEvent,
    Erasure,
    LearnedContexts,
    QuarantinedRecord,
    RetentionRule,
)
from controlplane.events.schemas import (
    DEDUPLICATION_WINDOW,
    FUTURE_TOLERANCE,
    LATE_AFTER,
    MAX_UNIT_ID,
    TYPES,
    Accepted,
    Rules,
    check_line,
)
from controlplane.events.shapes import Refusal

LEARN_FROM_LAST: Final = timedelta(days=1)
"""How far back the first learning of an environment looks."""

REDRIVE_AT_ONCE = 1_000
QUARANTINE_DAYS = 90


@register("events.redrive", title="Re-drive quarantined records")
def redrive(
    *,
    environment: str,
    surfaces: Container[str] | None,
    actor: Actor,
    at: datetime,
    code: str = "",
    ids: Sequence[int] = (),
    accept_late: bool = False,
) -> BatchReport:
    """Judge quarantined records again and take in those that are events now, at most a thousand at a time.

    Chosen by `ids`, else by `code`, else all that wait. `surfaces` are the surface keys known now. Whether a record is
    too late is held against the day it arrived, unless `accept_late` says to take it in whatever its age; whether it
    lies in the future, against `at`. What is refused again stays, with its new reason.
    """
    with operation.batch(
        "events.redrive", by=actor, subject=f"events.quarantine:{environment}", environment=environment, at=at
    ) as report:
        chosen = selectors.quarantined(environment=environment, code=code, waiting=True).select_for_update()
        if ids:
            chosen = chosen.filter(pk__in=list(ids))
        records = list(chosen.order_by("id")[:REDRIVE_AT_ONCE])
        digest = hashlib.sha256("".join(record.digest for record in records).encode())
        report.input_digest = digest.hexdigest()
        accepted: list[tuple[QuarantinedRecord, Accepted]] = []
        for line, record in enumerate(records):
            verdict = check_line(bytes(record.raw), _rules(record, surfaces, at=at, accept_late=accept_late))
            if isinstance(verdict, Accepted):
                accepted.append((record, verdict))
            else:
                _refuse_again(record, verdict)
                report.count("refused")
                report.error(line, FieldError(verdict.field, verdict.message, verdict.remedy))
        _take_in(accepted, environment=environment, at=at, report=report)
    return report


def _rules(
    record: QuarantinedRecord, surfaces: Container[str] | None, *, at: datetime, accept_late: bool
) -> Rules:
    return Rules(
        environment=record.environment,
        latest=at + FUTURE_TOLERANCE,
        late_before=record.received_at - LATE_AFTER,
        earliest=None if accept_late else record.received_at - DEDUPLICATION_WINDOW,
        surfaces=surfaces,
    )


def _refuse_again(record: QuarantinedRecord, verdict: Refusal) -> None:
    record.code, record.field = verdict.code, verdict.field
    record.reason, record.remedy, record.outcome = verdict.message, verdict.remedy, verdict.code
    record.save(update_fields=["code", "field", "reason", "remedy", "outcome"])


def _take_in(
    accepted: Sequence[tuple[QuarantinedRecord, Accepted]],
    *,
    environment: str,
    at: datetime,
    report: BatchReport,
) -> None:
    """Into the buffer, in the caller's transaction; each source as a submission of its own."""
    for source in sorted({record.source for record, _ in accepted}):
        mine = [(record, verdict) for record, verdict in accepted if record.source == source]
        good = [
            Good(verdict.event_id, verdict.type, verdict.late, bytes(record.raw)) for record, verdict in mine
        ]
        submission = Submission(environment, source, good)
        store([submission], at=at)
        for index, (record, _) in enumerate(mine):
            record.outcome = "duplicate" if index in submission.duplicates else "accepted"
            record.redriven_at = at
            record.save(update_fields=["outcome", "redriven_at"])
            report.count(record.outcome)


def store(submissions: Sequence[Submission], *, at: datetime) -> None:
    """Write judged records through Django's connection, in the transaction that is open there or one of their own."""
    with transaction.atomic():
        connection.ensure_connection()
        raw = connection.connection
        register_arrays(raw.adapters)
        with psycopg.Cursor(raw) as cursor:  # Django's own binds in the client, as text only
            run(cursor, write(submissions, at=at))


@register("events.set_retention", title="Set how long events of a type stay")
def set_retention(
    *, event_type: str, days: int, actor: Actor, at: datetime, expects: int | None = None
) -> RetentionRule:
    """Keep events of this type for so many days after they were received. Raises InvalidInput.

    Before the first rule of a type, the version to have seen is 0.
    """
    if event_type not in TYPES:
        raise InvalidInput.on("type", f"must be one of {', '.join(TYPES)}", "Choose a type of event.")
    if not 1 <= days <= 36_500:
        raise InvalidInput.on(
            "days", "must be from 1 to 36500", "Say how many days events of this type stay."
        )
    rule = RetentionRule.objects.filter(type=event_type).first()
    if rule is None:
        with operation.create("events.set_retention", by=actor, model=RetentionRule, at=at) as created:
            if expects:
                raise Stale(f"there is no rule for {event_type} yet; you saw version {expects} of one")
            created(rule := RetentionRule(type=event_type, days=days))
            rule.save()
        return rule
    with operation("events.set_retention", rule, by=actor, at=at, expects=expects) as rule:
        rule.days = days
        rule.save(update_fields=["days"])
    return rule


@register("events.request_erasure", title="Erase a person's events")
def request_erasure(*, environment: str, user_id: str, reason: str, actor: Actor, at: datetime) -> Erasure:
    """Ask for one user's events to be erased everywhere; a sweep does it. Raises InvalidInput."""
    if not 0 < len(user_id) <= MAX_UNIT_ID:
        raise InvalidInput.on(
            "user_id", "must be 1 to 128 characters", "Give the id events carry in unit_ids.user."
        )
    if not reason.strip():
        raise InvalidInput.on(
            "reason", "must not be empty", "Say on what request or ground the events are erased."
        )
    salt = secrets.token_hex(16)
    with operation.create(
        "events.request_erasure", by=actor, model=Erasure, at=at, environment=environment
    ) as created:
        created(
            erasure := Erasure(
                environment=environment,
                subject_hash=hash_subject(user_id, salt),
                salt=salt,
                user_id=user_id,
                reason=reason.strip()[:500],
                requested_by=actor.subject,
                requested_at=at,
            )
        )
        erasure.save()
    return erasure


def hash_subject(user_id: str, salt: str) -> str:
    """How an erased person is named in what must not name them: sha-256 of salt and id."""
    return hashlib.sha256(f"{salt}:{user_id}".encode()).hexdigest()


@register("events.run_erasure", title="Carry out an erasure")
def complete_erasure(*, erasure: Erasure, counts: dict[str, int], actor: Actor, at: datetime) -> Erasure:
    """Record that the person is erased, and forget the id."""
    with operation(
        "events.run_erasure", erasure, by=actor, at=at, environment=erasure.environment
    ) as erasure:
        erasure.status, erasure.completed_at = Erasure.Status.DONE, at
        erasure.user_id, erasure.counts, erasure.last_error = "", counts, ""
        erasure.attempts += 1
        erasure.save(update_fields=["status", "completed_at", "user_id", "counts", "last_error", "attempts"])
    return erasure


def note_failed_erasure(*, erasure: Erasure, error: str) -> None:
    """The sweep will try again; until then the page says why it did not work. `error` must not name the person."""
    Erasure.objects.filter(pk=erasure.pk).exclude(status=Erasure.Status.DONE).update(
        status=Erasure.Status.FAILED, attempts=erasure.attempts + 1, last_error=error[:500]
    )


@register("events.apply_retention", title="Drop events whose time is over")
def record_retention(*, dropped: dict[str, int], actor: Actor, at: datetime) -> BatchReport:
    """Put what retention dropped from the lake on the trail."""
    rules = selectors.retention_days()
    with operation.batch("events.apply_retention", by=actor, subject="events.lake:events", at=at) as report:
        report.input_digest = hashlib.sha256(json.dumps(rules, sort_keys=True).encode()).hexdigest()
        for kind, rows in sorted(dropped.items()):
            report.count(kind, rows)
    return report


def prune(*, at: datetime) -> dict[str, int]:
    """Forget ids older than the window of de-duplication (imported ones stay), old batches and old quarantine.

    Not an operation: nothing that people made goes away, and it runs every day.
    """
    old = at - DEDUPLICATION_WINDOW - timedelta(days=1)
    seen = BufferedEvent.objects.filter(received_at__lt=old, payload__isnull=True).exclude(source="import")
    batches = Batch.objects.filter(moved_at__lt=old).exclude(
        number=Batch.objects.order_by("-number").values("number")[:1]
    )
    stale = Q(last_seen_at__lt=at - timedelta(days=QUARANTINE_DAYS)) | Q(redriven_at__lt=old)
    return {
        "ids": seen.delete()[0],
        "batches": batches.delete()[0],
        "quarantined": QuarantinedRecord.objects.filter(stale).delete()[0],
    }


def learn_contexts(
    *, environment: str, contexts: Sequence[Mapping[str, Any]], until: datetime, actor: Actor, at: datetime
) -> tuple[str, ...]:
    """Teach the attribute dictionary the contexts of logged decisions received up to `until`; says the new names.

    The mark and what was learned are one transaction, so a sweep that dies learns the same again and counts it once.
    """
    with transaction.atomic():
        new = learn(environment, "request", contexts, actor=actor, at=at)
        LearnedContexts.objects.update_or_create(environment=environment, defaults={"received_until": until})
    return new
