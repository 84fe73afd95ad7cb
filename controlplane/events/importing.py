"""The import door: historical events in bulk, by an operator, without HTTP. Same schema, same buffer, same mover."""

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any

import orjson

from controlplane.core.actors import Actor
from controlplane.core.errors import FieldError
from controlplane.core.operations import operation
from controlplane.core.registry import register
from controlplane.events.buffer import Good, Submission
from controlplane.events.schemas import check_line, import_rules
from controlplane.events.services import store
from controlplane.events.shapes import Refusal

CHUNK = 5_000
ERRORS_KEPT = 1_000


@dataclass(slots=True)
class ImportReport:
    """What became of the rows. `errors` are the first refused ones with their row number, from 0."""

    accepted: int = 0
    duplicate: int = 0
    refused: int = 0
    types: Counter[str] = field(default_factory=Counter)
    errors: list[tuple[int, Refusal]] = field(default_factory=list)


@register("events.import_events", title="Import historical events")
def import_events(
    rows: Iterable[Mapping[str, Any]],
    *,
    environment: str,
    actor: Actor,
    at: datetime,
    source: str = "import",
    surfaces: Container[str] | None = None,
) -> ImportReport:
    """Take in events as dicts of schema version 1, however old; the mover brings them to the lake.

    Imported ids are never forgotten, so importing the same rows again adds nothing. All rows come in with one
    transaction and one audit event, so a killed import leaves nothing and is simply run again. Refused rows are reported, not
    quarantined: the operator has the file. Raises Forbidden before anything is read.
    """
    report = ImportReport()
    with operation.batch(
        "events.import_events", by=actor, subject=f"events.import:{source}", environment=environment, at=at
    ) as audited:
        for start, chunk in _chunks(rows):
            _store_chunk(
                chunk, start, report, environment=environment, source=source, surfaces=surfaces, at=at
            )
        for what in ("accepted", "duplicate", "refused"):
            audited.count(what, getattr(report, what))
        for line, refusal in report.errors:
            audited.error(line, FieldError(refusal.field, refusal.message, refusal.remedy))
    return report


def _chunks(rows: Iterable[Mapping[str, Any]]) -> Iterator[tuple[int, list[Mapping[str, Any]]]]:
    iterator = iter(rows)
    start = 0
    while chunk := list(islice(iterator, CHUNK)):
        yield start, chunk
        start += len(chunk)


def _store_chunk(
    chunk: list[Mapping[str, Any]],
    start: int,
    report: ImportReport,
    *,
    environment: str,
    source: str,
    surfaces: Container[str] | None,
    at: datetime,
) -> None:
    rules = import_rules(environment, at=at, surfaces=surfaces)
    good: list[Good] = []
    for line, row in enumerate(chunk, start=start):
        raw, verdict = _judge(row, rules)
        if isinstance(verdict, Refusal):
            report.refused += 1
            if len(report.errors) < ERRORS_KEPT:
                report.errors.append((line, verdict))
        else:
            good.append(Good(verdict.event_id, verdict.type, verdict.late, raw))
    submission = Submission(environment, source, good)
    store([submission], at=at)
    report.duplicate += len(submission.duplicates)
    report.accepted += len(good) - len(submission.duplicates)
    report.types.update(event.type for index, event in enumerate(good) if index not in submission.duplicates)


def _judge(row: Mapping[str, Any], rules: Any) -> tuple[bytes, Any]:
    try:
        raw = orjson.dumps(dict(row))
    except TypeError as error:
        return b"", Refusal("malformed_json", "", f"cannot be written as JSON: {error}", "use plain values")
    return raw, check_line(raw, rules)
