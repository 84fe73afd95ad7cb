"""The keyed buffer: what one group of judged records does to the database, in one transaction.

`write` is a generator of statements that neither knows a connection nor waits: `run` drives it on a synchronous
cursor and `run_async` on an asynchronous one, so that ingest, import and re-drive write by the same statements.

Rows travel as PostgreSQL arrays in binary format, made here: several times cheaper than letting the driver adapt each
value, and unlike COPY they can meet `ON CONFLICT`.
"""

import struct
from collections import Counter
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any, LiteralString

import psycopg
from psycopg.adapt import AdaptersMap, Dumper
from psycopg.pq import Format

from controlplane.events.schemas import TYPES
from controlplane.events.shapes import Refusal

Statement = tuple[LiteralString, Sequence[Any]]
Rows = list[tuple[Any, ...]]

TEXT_OID, TEXT_ARRAY_OID = 25, 1009
BYTEA_OID, BYTEA_ARRAY_OID = 17, 1001


@dataclass(frozen=True, slots=True)
class Good:
    """An accepted record on its way into the buffer."""

    event_id: str
    type: str
    late: bool
    raw: bytes


@dataclass(frozen=True, slots=True)
class Bad:
    """A refused record on its way into quarantine."""

    refusal: Refusal
    event_id: str
    type: str
    raw: bytes


@dataclass(slots=True)
class Submission:
    """What one request brings, of one environment. `write` fills in `duplicates`, as indexes of `good`."""

    environment: str
    source: str
    good: Sequence[Good]
    bad: Sequence[Bad] = ()
    duplicates: set[int] = field(default_factory=set)


INSERT_EVENTS: LiteralString = """
INSERT INTO events_buffer (environment, event_id, type, source, received_at, payload)
SELECT e, i, t, s, %s, p FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::text[]) AS new(e, i, t, s, p)
ON CONFLICT DO NOTHING RETURNING environment, event_id
"""
INSERT_QUARANTINE: LiteralString = """
INSERT INTO events_quarantine AS known (environment, digest, code, field, reason, remedy, event_id, event_type, source,
                                        raw, received_at, last_seen_at, times_seen, outcome)
SELECT environment, digest, code, field, reason, remedy, event_id, event_type, source, raw, %s, %s, times, ''
FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[],
            %s::bytea[], %s::int[])
    AS new(environment, digest, code, field, reason, remedy, event_id, event_type, source, raw, times)
ON CONFLICT (environment, digest) DO UPDATE SET
    times_seen = known.times_seen + excluded.times_seen, last_seen_at = excluded.last_seen_at, code = excluded.code,
    field = excluded.field, reason = excluded.reason, remedy = excluded.remedy, redriven_at = NULL, outcome = ''
"""
ADD_COUNTS: LiteralString = """
INSERT INTO events_count AS known (environment, day, type, verdict, count)
SELECT environment, %s::date, type, verdict, count
FROM unnest(%s::text[], %s::text[], %s::text[], %s::bigint[]) AS new(environment, type, verdict, count)
ON CONFLICT (environment, day, type, verdict) DO UPDATE SET count = known.count + excluded.count
"""


def write(submissions: Sequence[Submission], *, at: datetime) -> Generator[Statement, Rows, None]:
    """The statements that take `submissions` in, to be run in one transaction that commits durably.

    Of records with the same id the first wins. Rows go in sorted by their key, so that transactions which overlap
    wait for each other in one order.
    """
    first: dict[tuple[str, str], tuple[Submission, int]] = {}
    for submission in submissions:
        submission.duplicates.clear()
        for index, good in enumerate(submission.good):
            if first.setdefault((submission.environment, good.event_id), (submission, index)) != (
                submission,
                index,
            ):
                submission.duplicates.add(index)
    if first:
        inserted = yield _insert_events(first, at)
        if len(inserted) < len(first):
            for key in first.keys() - set(inserted):
                submission, index = first[key]
                submission.duplicates.add(index)
    if any(submission.bad for submission in submissions):
        yield _insert_quarantine(submissions, at)
    counts = _unusual(submissions)
    if counts:
        yield add_counts(counts, at)


def _insert_events(first: dict[tuple[str, str], tuple[Submission, int]], at: datetime) -> Statement:
    environments, ids, types, sources, payloads = [], [], [], [], []
    for key in sorted(first):
        submission, index = first[key]
        good = submission.good[index]
        environments.append(key[0].encode())
        ids.append(key[1].encode())
        types.append(_TYPE_BYTES[good.type])
        sources.append(submission.source.encode())
        payloads.append(good.raw)
    arrays = [Texts(column) for column in (environments, ids, types, sources, payloads)]
    return INSERT_EVENTS, (at, *arrays)


def _insert_quarantine(submissions: Iterable[Submission], at: datetime) -> Statement:
    rows: dict[tuple[str, str], list[Any]] = {}
    for submission in submissions:
        for bad in submission.bad:
            key = (submission.environment, sha256(bad.raw).hexdigest())
            if key in rows:
                rows[key][-1] += 1
                continue
            why = bad.refusal
            known = [bad.event_id, bad.type, submission.source, bad.raw]
            rows[key] = [*key, why.code, why.field, why.message, why.remedy, *known, 1]
    columns = list(zip(*(rows[key] for key in sorted(rows)), strict=True))
    texts = [Texts([text.encode() for text in column]) for column in columns[:9]]
    return INSERT_QUARANTINE, (at, at, *texts, Blobs(columns[9]), list(columns[10]))


def add_counts(counts: Counter[tuple[str, str, str]], at: datetime) -> Statement:
    """Add to the day's counters, keyed by environment, type and verdict."""
    keys = sorted(counts)
    environments, types, verdicts = ([key[part] for key in keys] for part in range(3))
    return ADD_COUNTS, (at, environments, types, verdicts, [counts[key] for key in keys])


def _unusual(submissions: Iterable[Submission]) -> Counter[tuple[str, str, str]]:
    """What the day's counters gain: the mover counts good events, so that ingest shares no row with its neighbours."""
    counts: Counter[tuple[str, str, str]] = Counter()
    for submission in submissions:
        environment = submission.environment
        for bad in submission.bad:
            counts[environment, bad.type, bad.refusal.code] += 1
        for index in submission.duplicates:
            counts[environment, submission.good[index].type, "duplicate"] += 1
        for index, good in enumerate(submission.good):
            if good.late and index not in submission.duplicates:
                counts[environment, good.type, "late"] += 1
    return counts


def run(cursor: psycopg.Cursor[Any], statements: Generator[Statement, Rows, None]) -> None:
    """Carry the statements out; the caller holds the transaction."""
    try:
        query, parameters = next(statements)
        while True:
            cursor.execute(query, parameters)
            query, parameters = statements.send(cursor.fetchall() if cursor.description else [])
    except StopIteration:
        return


async def run_async(cursor: psycopg.AsyncCursor[Any], statements: Generator[Statement, Rows, None]) -> None:
    """Carry the statements out; the caller holds the transaction."""
    try:
        query, parameters = next(statements)
        while True:
            await cursor.execute(query, parameters)
            query, parameters = statements.send(await cursor.fetchall() if cursor.description else [])
    except StopIteration:
        return


@dataclass(frozen=True, slots=True)
class Texts:
    """UTF-8 texts without NUL, for one `text[]` parameter."""

    values: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Blobs:
    """Any bytes, for one `bytea[]` parameter."""

    values: Sequence[bytes]


_length = struct.Struct("!i").pack
_TYPE_BYTES = {name: name.encode() for name in TYPES}


def _binary_array(element_oid: int, values: Sequence[bytes]) -> bytes:
    """PostgreSQL's binary format of a one-dimensional array without nulls."""
    if not values:
        return struct.pack("!iii", 0, 0, element_oid)
    parts = [struct.pack("!iiiii", 1, 0, element_oid, len(values), 1)]
    for value in values:
        parts.append(_length(len(value)))
        parts.append(value)
    return b"".join(parts)


class _TextsDumper(Dumper):
    format = Format.BINARY
    oid = TEXT_ARRAY_OID

    def dump(self, obj: Texts) -> bytes:
        return _binary_array(TEXT_OID, obj.values)


class _BlobsDumper(Dumper):
    format = Format.BINARY
    oid = BYTEA_ARRAY_OID

    def dump(self, obj: Blobs) -> bytes:
        return _binary_array(BYTEA_OID, obj.values)


def register_arrays(adapters: AdaptersMap) -> None:
    """Teach a connection to send `Texts` and `Blobs`."""
    adapters.register_dumper(Texts, _TextsDumper)
    adapters.register_dumper(Blobs, _BlobsDumper)
