"""Seals: signed, chained, anchored statements of which audit events there are and in what order.

Events commit out of the order of their ids, so the sealer takes only those whose transaction lies below the oldest one
still running, and gives them dense positions of its own.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import structlog
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.conf import settings
from django.db import connection, transaction

from controlplane.core import audit, keys
from controlplane.core.canonical import canonical_json
from controlplane.core.models import AuditEvent, AuditSeal, SealedEvent

log = structlog.get_logger(__name__)
GENESIS = "0" * 64
BATCH = 5_000


def _key_path() -> Path:
    return Path(settings.KEYS_DIR) / "seal.ed25519"


def seal(*, at: datetime) -> int:
    """Seal every settled, unsealed event; says how many. Alone under an advisory lock; anchored before it returns."""
    sealed = 0
    while True:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_try_advisory_xact_lock(hashtext('controlplane.seal'))")
                (alone,) = cursor.fetchone()
            if not alone:
                return sealed
            _anchor_missing()
            made = _seal_batch(at=at)
        if made is None:
            return sealed
        _anchor(made)
        sealed += made.count
        if made.count < BATCH:
            return sealed


def _settled() -> list[AuditEvent]:
    return list(
        AuditEvent.objects.filter(sealed__isnull=True)
        .extra(where=["core_auditevent.transaction < pg_snapshot_xmin(pg_current_snapshot())"])
        .order_by("id")[:BATCH]
    )


def _seal_batch(*, at: datetime) -> AuditSeal | None:
    events = _settled()
    if not events:
        return None
    last = AuditSeal.objects.order_by("-number").first()
    first = last.last + 1 if last else 1
    key = keys.signing_key(_key_path())
    made = AuditSeal(
        number=last.number + 1 if last else 1,
        first=first,
        last=first + len(events) - 1,
        count=len(events),
        root=_root(event.digest for event in events),
        previous=last.digest if last else GENESIS,
        at=at,
        key_id=keys.key_id(key.public_key()),
    )
    statement = _statement(made)
    made.digest = hashlib.sha256(statement).hexdigest()
    made.signature = base64.b64encode(key.sign(statement)).decode()
    made.save(force_insert=True)
    SealedEvent.objects.bulk_create(
        SealedEvent(position=position, event=event, seal=made)
        for position, event in enumerate(events, start=first)
    )
    return made


def _root(digests: Iterable[str]) -> str:
    chain = hashlib.sha256()
    for each in digests:
        chain.update(bytes.fromhex(each))
    return chain.hexdigest()


def _statement(made: AuditSeal) -> bytes:
    return canonical_json(
        {
            "number": made.number,
            "first": made.first,
            "last": made.last,
            "count": made.count,
            "root": made.root,
            "previous": made.previous,
            "at": made.at.isoformat(),
            "key_id": made.key_id,
        }
    )


def _anchor_line(made: AuditSeal) -> dict[str, Any]:
    return {
        "number": made.number,
        "last": made.last,
        "digest": made.digest,
        "signature": made.signature,
        "key_id": made.key_id,
    }


def _anchor(made: AuditSeal) -> None:
    path = Path(settings.AUDIT_ANCHOR_FILE)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    line = json.dumps(_anchor_line(made), sort_keys=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")
        file.flush()
        os.fsync(file.fileno())
    log.info("audit_sealed", **_anchor_line(made))


def _anchor_missing() -> None:
    """Anchor a seal that was committed just before the process died."""
    newest = AuditSeal.objects.order_by("-number").first()
    anchored = max((line["number"] for line in read_anchors(Path(settings.AUDIT_ANCHOR_FILE))), default=0)
    if newest is not None and newest.number > anchored:
        for made in AuditSeal.objects.filter(number__gt=anchored).order_by("number"):
            _anchor(made)


def read_anchors(path: Path) -> Iterator[dict[str, Any]]:
    """The anchored seals, oldest first; nothing when the file is absent. A torn last line is passed over."""
    if not path.exists():
        return
    with path.open(encoding="utf-8") as file:
        for line in file:
            try:
                yield json.loads(line)
            except json.JSONDecodeError:
                continue


@dataclass(frozen=True, slots=True)
class Verification:
    """What a check of the whole trail found; `problems` is empty when it is intact."""

    events: int
    seals: int
    unsealed: int
    oldest_unsealed: timedelta | None
    problems: tuple[str, ...]


def verify(*, at: datetime, anchor: Path | None, public_key: Ed25519PublicKey | None = None) -> Verification:
    """Whether chain, signatures, density, every event's digest and the newest anchor all agree.

    `public_key` is the key to trust; by default the one of the installation's seal key.
    """
    trusted = public_key or keys.signing_key(_key_path()).public_key()
    problems: list[str] = []
    previous, expected_first, seals = GENESIS, 1, 0
    by_number: dict[int, AuditSeal] = {}
    for made in AuditSeal.objects.order_by("number").iterator():
        seals += 1
        by_number[made.number] = made
        problems += _check_seal(made, number=seals, previous=previous, first=expected_first, key=trusted)
        previous, expected_first = made.digest, made.last + 1
    unsealed = AuditEvent.objects.filter(sealed__isnull=True).order_by("at")
    oldest = unsealed.first()
    if anchor is not None:
        problems += _check_anchors(by_number, anchor)
    return Verification(
        events=AuditEvent.objects.count(),
        seals=seals,
        unsealed=unsealed.count(),
        oldest_unsealed=at - oldest.at if oldest else None,
        problems=tuple(problems),
    )


def _check_seal(
    made: AuditSeal, *, number: int, previous: str, first: int, key: Ed25519PublicKey
) -> Iterator[str]:
    statement = _statement(made)
    if made.number != number:
        yield f"seal {number} is missing; the next one is {made.number}"
    if made.previous != previous:
        yield f"seal {made.number} does not follow from the seal before it"
    if made.first != first:
        yield f"seal {made.number} begins at {made.first}, not {first}"
    if hashlib.sha256(statement).hexdigest() != made.digest:
        yield f"seal {made.number} was altered"
    try:
        key.verify(base64.b64decode(made.signature), statement)
    except (InvalidSignature, ValueError):
        yield f"seal {made.number} is not signed by the trusted key"
    events = [row.event for row in made.events.select_related("event").order_by("position")]
    if len(events) != made.count:
        yield f"seal {made.number} covers {made.count} events; {len(events)} are there"
    for event in events:
        if audit.event_digest(event) != event.digest:
            yield f"audit event {event.pk} ({event.operation}) was altered"
    if _root(event.digest for event in events) != made.root:
        yield f"the events under seal {made.number} are not those that were sealed"


def _check_anchors(by_number: dict[int, AuditSeal], anchor: Path) -> Iterator[str]:
    lines = list(read_anchors(anchor))
    if not lines and by_number:
        yield f"{anchor} holds no anchor, but there are {len(by_number)} seals"
    for line in lines:
        made = by_number.get(line["number"])
        if made is None:
            yield f"seal {line['number']} is anchored but no longer there"
        elif made.digest != line["digest"]:
            yield f"seal {line['number']} differs from its anchor"
    newest = max(by_number, default=0)
    if lines and newest > max(line["number"] for line in lines):
        yield f"seal {newest} is not anchored"
