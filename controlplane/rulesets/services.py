"""Publishing and holding back. Everything that moves a head is here, and holds the environment's lock."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import structlog
from django.conf import settings
from django.db import OperationalError, connection, connections
from psycopg import errors as postgres

from controlplane.core.actors import Actor
from controlplane.core.errors import Conflict, InvalidInput, NotFound
from controlplane.core.findings import Severity
from controlplane.core.models import AuditEvent, Reaction
from controlplane.core.operations import operation
from controlplane.core.policies import ApprovalRequired, NeedsApproval
from controlplane.core.registry import every, register
from controlplane.core.selectors import actor_names
from controlplane.rulesets import selectors
from controlplane.rulesets.compiling import Compiled, compile_environment, settle
from controlplane.rulesets.fragments import Fragment
from controlplane.rulesets.models import Hold, Revision
from controlplane.rulesets.publishing import publishing, snapshot
from controlplane.rulesets.revisions import Published, commit, report
from controlplane.rulesets.selectors import Contribution

log = structlog.get_logger(__name__)
ATTEMPTS = 3
CARRY_WAIT = 2.0
SWITCH_WAIT = 10.0

__all__ = [
    "SWITCH_WAIT",
    "Published",
    "carry",
    "expire_holds",
    "publish",
    "publish_by_hand",
    "publish_reaction",
    "publish_switch",
    "publishing",
    "release_hold",
    "set_hold",
]


def publish(
    environment: str, *, cause: str, at: datetime, actor: Actor | None = None, wait: float = 30.0
) -> Published:
    """Compile, link and check what is live, and make it the head unless the head says the same.

    Raises NotFound for an unknown environment, PublishBusy when another publish does not end within `wait` seconds.
    An empty `cause` is filled in from the operations since the head.
    """
    with publishing(environment, wait=wait):
        for left in reversed(range(ATTEMPTS)):
            try:
                return _publish(environment, cause=cause, at=at, actor=actor)
            except OperationalError as error:
                # Another environment stored the same content since our snapshot; a new snapshot sees it.
                if not left or not isinstance(error.__cause__, postgres.SerializationFailure):
                    raise
    raise AssertionError("the last attempt returns or raises")


def _publish(environment: str, *, cause: str, at: datetime, actor: Actor | None) -> Published:
    with snapshot():
        if environment not in selectors.environments():
            raise NotFound(f"There is no environment {environment}.")
        head = selectors.head(environment)
        compiled = compile_environment(environment, at=at, head=head)
        why, who = (cause, "") if cause else _latest_write(environment, head)
        author = actor.name if actor else who or "control plane"
        published = commit(environment, compiled, head=head, cause=why, author=author, at=at)
        report(environment, compiled.findings, at=at)
    if published.changed:
        log.info("ruleset_published", environment=environment, revision=published.revision, cause=why)
    return published


def _latest_write(environment: str, head: Revision | None) -> tuple[str, str]:
    """What was done since the head was made, in words, and who did the last of it."""
    titles = {known.name: known.title for known in every() if known.publishes}
    latest = [
        event
        for event in AuditEvent.objects.filter(operation__in=titles).order_by("-id")[:20]
        if event.environment in {"", environment} and (head is None or event.at > head.at)
    ]
    if not latest:
        return "recompile", ""
    last, more = latest[0], f" and {len(latest) - 1} more" if len(latest) > 1 else ""
    about = last.subject.partition(":")[2].strip("*")
    who = (last.actor_kind, last.actor_id)
    return f"{titles[last.operation]}{': ' if about else ''}{about}{more}", actor_names([who])[who]


@register("rulesets.publish", title="Compile and publish now")
def publish_by_hand(*, environment: str, actor: Actor, at: datetime) -> Published:
    """Publish what is live, on a person's word. The audit event says who asked; the revision names them as its author."""
    subject = f"rulesets.head:{environment}"
    if environment not in selectors.environments():
        raise NotFound(f"There is no environment {environment}.")
    with operation.batch(
        "rulesets.publish", by=actor, subject=subject, at=at, environment=environment
    ) as asked:
        asked.count("requests")
    return publish(environment, cause="published by hand", at=at, actor=actor)


def carry(environment: str) -> dict[str, Any]:
    """Which revision carries what was just committed: `published`, `held` (saved, not served) or `pending`.

    Never raises: the write is done, and a sweep publishes it if this could not. Uses the database's clock, since the
    hook that calls it hands none down. Inside a transaction nothing is committed that could be carried.
    """
    pending = {"environment": environment, "revision": None, "status": "pending"}
    if connection.in_atomic_block:
        return pending
    try:
        published = publish(environment, cause="", at=_database_clock(), wait=CARRY_WAIT)
    except Exception:  # whatever stands in the way of publishing, the write itself succeeded
        log.exception("write_not_carried", environment=environment)
        return pending
    held = bool(published.waiting) and not published.changed
    answer: dict[str, Any] = {
        "environment": environment,
        "revision": published.revision or None,
        "status": "held" if held else "published",
    }
    return {**answer, "held": list(published.waiting)} if published.waiting else answer


def _database_clock() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: datetime = cursor.fetchone()[0]
    return now


def publish_reaction(reaction: Reaction, *, at: datetime) -> None:
    """Publish what an operation changed, in its environment or in all.

    Reactions are delivered inside a transaction and publishing begins with a lock before one, so this runs on a
    connection of its own, which a thread of its own gets.
    """
    wanted = [reaction.environment] if reaction.environment else selectors.environments()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="publish") as apart:
        apart.submit(_publish_apart, wanted, at).result()


def _publish_apart(wanted: Sequence[str], at: datetime) -> None:
    try:
        for environment in wanted:
            publish(environment, cause="", at=at)
    finally:
        connections.close_all()


def publish_switch(
    fragment: Fragment, *, environment: str, cause: str, at: datetime, actor: Actor
) -> Published:
    """Publish a switch from inside the operation that throws it, so that both are written or neither.

    Call it within `publishing(environment, wait=SWITCH_WAIT)`, inside the operation; `fragment` is the source's whole
    new one. The revision is linked from the head's stored fragments and this one: no other source is asked, so none
    can delay or prevent it. Raises InvalidInput when the fragment itself is unfit.
    """
    if not connection.in_atomic_block:
        raise RuntimeError("a switch is published inside the operation that throws it")
    head = selectors.head(environment)
    compiled = _with_switch(environment, fragment, head=head, at=at)
    return commit(environment, compiled, head=head, cause=cause, author=actor.name, at=at)


def _with_switch(environment: str, fragment: Fragment, *, head: Revision | None, at: datetime) -> Compiled:
    """The head with one source's fragment replaced. Before the first revision there is no head to build on."""
    if head is None:
        return compile_environment(environment, at=at, head=None)
    stored = selectors.contributions(head)
    was = stored.get(fragment.source)
    switched = Contribution(was.provider if was else "", fragment)
    compiled = settle(
        environment,
        {**stored, fragment.source: switched},
        last_good=stored,
        head=head,
        facts=selectors.compiled_facts(head),
    )
    if compiled.contributions[fragment.source] is not switched or compiled.unfit:
        problem = next(found for found in compiled.findings if found.severity is Severity.ERROR)
        raise InvalidInput(f"The switch cannot be published: {problem.message}")
    return compiled


@register("rulesets.set_hold", title="Hold sources at an earlier revision", publishes=True)
def set_hold(
    *,
    environment: str,
    from_revision: int,
    reason: str,
    actor: Actor,
    at: datetime,
    expires_at: datetime,
    sources: Sequence[str] | None = None,
    owner: str = "",
) -> tuple[Hold, Published]:
    """Serve the sources as they were in `from_revision` until released: a new revision, in the same transaction.

    Without `sources`, all but those that stay current (catalogue, guardrails, kill switches). Raises NotFound for an
    unknown revision, InvalidInput for an unknown source, Conflict when a source is held already, and
    ApprovalRequired when a safeguard is among them: holding one back loosens protection, and that takes two people.
    """
    if not reason.strip():
        raise InvalidInput.on("reason", "is empty", "Say why, for those who will wonder.")
    if expires_at <= at:
        raise InvalidInput.on("expires_at", "lies in the past", "Choose a later end.")
    earlier = selectors.revision(environment, from_revision)
    chosen = _choose(environment, earlier, sources)
    with (
        publishing(environment, wait=SWITCH_WAIT),
        operation.create(
            "rulesets.set_hold", by=actor, model=Hold, at=at, environment=environment
        ) as created,
    ):
        _refuse_safeguards(environment, earlier, chosen)
        _refuse_overlap(environment, chosen)
        hold = created(
            Hold.objects.create(
                environment=environment,
                sources=chosen,
                from_revision=earlier,
                reason=reason,
                owner=owner or actor.name,
                created_at=at,
                expires_at=expires_at,
            )
        )
        head = selectors.head(environment)
        stored = selectors.contributions(head)
        compiled = settle(
            environment, {**stored, **selectors.held_back(environment)}, last_good=stored, head=head
        )
        cause = f"hold: {', '.join(chosen)} as in revision {from_revision}"
        published = commit(environment, compiled, head=head, cause=cause, author=actor.name, at=at)
    return hold, published


def _choose(environment: str, earlier: Revision, sources: Sequence[str] | None) -> list[str]:
    """The sources to hold, sorted. Raises InvalidInput for one that neither revision knows."""
    known = {**selectors.contributions(earlier), **selectors.contributions(selectors.head(environment))}
    if sources is None:
        return sorted(
            name for name, one in known.items() if one.provider not in settings.RULESET_STAYS_CURRENT
        )
    unknown = sorted(set(sources) - set(known))
    if unknown or not sources:
        what = f"unknown: {', '.join(unknown)}" if unknown else "none named"
        raise InvalidInput.on("sources", what, f"Choose from {', '.join(sorted(known))}.")
    return sorted(set(sources))


def _refuse_safeguards(environment: str, earlier: Revision, chosen: Sequence[str]) -> None:
    known = {**selectors.contributions(earlier), **selectors.contributions(selectors.head(environment))}
    loosened = [name for name in chosen if known[name].provider in settings.RULESET_SAFEGUARDS]
    if loosened:
        rule = f"Holding back {', '.join(loosened)} loosens a safeguard and takes two people"
        raise ApprovalRequired([NeedsApproval(rule=rule, role="compliance")])


def _refuse_overlap(environment: str, chosen: Sequence[str]) -> None:
    for hold in selectors.standing_holds(environment):
        both = sorted(set(hold.sources) & set(chosen))
        if both:
            raise Conflict(
                f"{', '.join(both)} is already held by hold {hold.pk}; release that one first.",
                extra={"hold": hold.pk},
            )


@register("rulesets.release_hold", title="Release a hold", publishes=True)
def release_hold(*, hold: Hold, actor: Actor, at: datetime, expects: int | None = None) -> Hold:
    """Let the held sources be served as they now are; the next publish does so. Raises Conflict when it was released."""
    with operation(
        "rulesets.release_hold", hold, by=actor, at=at, expects=expects, environment=hold.environment
    ) as hold:
        if hold.released_at is not None:
            raise Conflict("This hold was released before.")
        hold.released_at, hold.released_by = at, actor.name
        hold.save(update_fields=["released_at", "released_by"])
    return hold


def expire_holds(*, at: datetime) -> list[Hold]:
    """Release what has run out, in the name of `beat`."""
    released = []
    for hold in selectors.expired_holds(at=at):
        try:
            released.append(release_hold(hold=hold, actor=Actor.system("beat"), at=at))
        except Conflict:  # somebody released it a moment ago
            continue
    return released


def preview_release(hold: Hold, *, at: datetime) -> tuple[dict[str, Any], dict[str, Any]]:
    """The sections as served now, and as they would be without the hold. Writes nothing."""
    with snapshot():
        head = selectors.head(hold.environment)
        compiled = compile_environment(hold.environment, at=at, head=head, released=[hold.pk])
        return selectors.sections(head), compiled.linked.sections


def compiled_sections(environment: str, *, at: datetime) -> dict[str, Any]:
    """What a publish now would serve. Writes nothing."""
    with snapshot():
        head = selectors.head(environment)
        return compile_environment(environment, at=at, head=head).linked.sections
