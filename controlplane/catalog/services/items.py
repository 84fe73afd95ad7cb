"""Taking in items: many lines, in batches of one transaction each, with a verdict for every line."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any, Final

import orjson
from django.db import connection

from controlplane.catalog.rules.items import Refused, Statement, read_line
from controlplane.catalog.rules.observations import Observed, observe
from controlplane.catalog.services.attributes import note_observed
from controlplane.catalog.services.conditions import SIGNALS
from controlplane.core.actors import Actor
from controlplane.core.errors import FieldError
from controlplane.core.operations import BatchReport, operation
from controlplane.core.registry import register

BATCH_LINES: Final = 5_000
VERDICTS: Final = ("created", "updated", "unchanged", "refused")


@dataclass(frozen=True, slots=True)
class LineReport:
    """What became of one line; lines count from 1. A refused one says which field, why, and what to do."""

    line: int
    item_id: str
    verdict: str
    error: FieldError | None = None

    def to_json(self) -> dict[str, Any]:
        told: dict[str, Any] = {"line": self.line, "item_id": self.item_id, "verdict": self.verdict}
        if self.error is not None:
            told |= {"field": self.error.field, "reason": self.error.message, "remedy": self.error.remedy}
        return told


@dataclass(slots=True)
class UploadReport:
    """What became of a whole upload."""

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(VERDICTS, 0))
    lines: list[LineReport] = field(default_factory=list)

    def add(self, batch: Iterable[LineReport]) -> None:
        """Take up the verdicts of one batch."""
        for line in batch:
            self.counts[line.verdict] += 1
            self.lines.append(line)

    @property
    def refused(self) -> list[LineReport]:
        return [line for line in self.lines if line.error is not None]


@register("catalog.upsert_items", title="Take in items", publishes=True)
def upsert_items(
    lines: Iterable[bytes], *, actor: Actor, at: datetime, batch_lines: int = BATCH_LINES
) -> Iterator[list[LineReport]]:
    """Take in NDJSON lines; yields the verdicts of each batch once it is committed. Empty lines are passed over.

    Each line states one item. Fields it does not name stay as they are; a stated item that was deleted is back. Every
    batch is one transaction and one audit event: all its good lines are taken in, or, on an error, none. Sending the
    same lines again changes nothing. Raises Forbidden.
    """
    seen: dict[str, int] = {}
    numbered = ((number, line) for number, line in enumerate(lines, start=1) if line.strip())
    while batch := list(islice(numbered, batch_lines)):
        yield _take_in(batch, seen=seen, actor=actor, at=at)


def _take_in(
    batch: list[tuple[int, bytes]], *, seen: dict[str, int], actor: Actor, at: datetime
) -> list[LineReport]:
    statements, refused = _read(batch, seen)
    with operation.batch("catalog.upsert_items", by=actor, subject="catalog.item:*", at=at) as report:
        report.input_digest = _digest(line for _, line in batch)
        verdicts = _write(statements, at=at)
        told = [LineReport(each.line, each.item_id, verdicts[each.item_id]) for each in statements]
        note_observed("item", _observations(statements), at=at)
        _count(report, told, refused)
    return sorted([*told, *refused], key=lambda one: one.line)


def _read(batch: list[tuple[int, bytes]], seen: dict[str, int]) -> tuple[list[Statement], list[LineReport]]:
    statements, refused = [], []
    for number, raw in batch:
        try:
            each = read_line(raw, line=number)
            first = seen.setdefault(each.item_id, number)
            if first != number:
                raise Refused(
                    each.item_id,
                    "item_id",
                    f"line {first} states this item already",
                    "Keep one line per item.",
                )
        except Refused as refusal:
            refused.append(LineReport(number, refusal.item_id, "refused", refusal.error))
        else:
            statements.append(each)
    return statements, refused


def _digest(lines: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.rstrip(b"\r\n") + b"\n")
    return digest.hexdigest()


def _count(report: BatchReport, told: list[LineReport], refused: list[LineReport]) -> None:
    for line in (*told, *refused):
        report.count(line.verdict)
    for line in refused:
        if line.error is not None:
            report.error(line.line - 1, line.error)


def _observations(statements: list[Statement]) -> dict[str, Observed]:
    seen: dict[str, Observed] = {}
    observe((each.said["attributes"] for each in statements if "attributes" in each.said), seen)
    return observe(({SIGNALS: each.said["signals"]} for each in statements if each.said.get("signals")), seen)


# Fields a line does not state come as SQL null and keep what stands; `regions` may be stated as null, hence its flag.
# One writer at a time (the lock) makes read-then-write exact and lets two uploads of the same items not deadlock.
_UPSERT = """
WITH said AS (
    SELECT * FROM jsonb_to_recordset(%(said)s::jsonb) AS line(
        item_id text, title text, image_url text, attributes jsonb, signals jsonb, provider text, available boolean,
        regions jsonb, regions_said boolean, deleted boolean
    )
), meant AS (
    SELECT said.item_id,
        COALESCE(said.title, old.title, '') AS title,
        COALESCE(said.image_url, old.image_url, '') AS image_url,
        COALESCE(said.attributes, old.attributes, '{}') AS attributes,
        COALESCE(said.signals, old.signals, '{}') AS signals,
        COALESCE(said.provider, old.provider, '') AS provider,
        COALESCE(said.available, old.available, true) AS available,
        CASE WHEN NOT said.regions_said THEN old.regions
             WHEN jsonb_typeof(said.regions) = 'array'
             THEN ARRAY(SELECT jsonb_array_elements_text(said.regions))::varchar(16)[] END AS regions,
        CASE WHEN said.deleted THEN COALESCE(old.deleted_at, %(at)s) END AS deleted_at
    FROM said LEFT JOIN catalog_item AS old USING (item_id)
)
INSERT INTO catalog_item AS kept (
    item_id, title, image_url, attributes, signals, provider, available, regions, deleted_at, first_seen_at, updated_at
)
SELECT item_id, title, image_url, attributes, signals, provider, available, regions, deleted_at, %(at)s, %(at)s FROM meant
ON CONFLICT (item_id) DO UPDATE SET
    title = EXCLUDED.title, image_url = EXCLUDED.image_url, attributes = EXCLUDED.attributes,
    signals = EXCLUDED.signals, provider = EXCLUDED.provider, available = EXCLUDED.available,
    regions = EXCLUDED.regions, deleted_at = EXCLUDED.deleted_at, updated_at = EXCLUDED.updated_at
WHERE (kept.title, kept.image_url, kept.attributes, kept.signals, kept.provider, kept.available, kept.regions,
       kept.deleted_at)
    IS DISTINCT FROM (EXCLUDED.title, EXCLUDED.image_url, EXCLUDED.attributes, EXCLUDED.signals, EXCLUDED.provider,
       EXCLUDED.available, EXCLUDED.regions, EXCLUDED.deleted_at)
RETURNING item_id, xmax = 0
"""


def _write(statements: list[Statement], *, at: datetime) -> dict[str, str]:
    """Item id -> verdict. A fresh row has no deleting transaction (`xmax`); a row not returned was equal already."""
    verdicts = {each.item_id: "unchanged" for each in statements}
    said = orjson.dumps(
        [
            {"item_id": each.item_id, **each.said, "regions_said": "regions" in each.said}
            for each in statements
        ]
    )
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('catalog.items'))")
        cursor.execute(_UPSERT, {"said": said.decode(), "at": at})
        for item_id, fresh in cursor.fetchall():
            verdicts[item_id] = "created" if fresh else "updated"
    return verdicts
