"""The event lake: one Delta table, `<LAKE_URL>/events`, partitioned by the UTC day an event was received.

Everything that changes the table holds the lake lock (`controlplane.events.lake_lock`). As a second fence a commit
is never retried on a newer version of the table: when somebody else committed in between, it fails with
`LakeConflict` and the caller looks at the table again.

No process that imports this module may fork afterwards (a forked `deltalake` panics), so celery workers and web
servers start a child for lake work instead of importing it.

Statistics in the transaction log are limited to columns that never identify a person: what the log repeats from
the data could not be erased with the data.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable, Transaction, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError

TABLE = "events"
PARTITION = "received_day"
STATISTICS_COLUMNS = ("type", "surface", "source", "schema_version")

ASSIGNMENT = pa.struct(
    [
        ("experiment", pa.string()),
        ("phase", pa.int32()),
        ("arm", pa.string()),
        ("arm_propensity", pa.float64()),
        ("would_be", pa.string()),
    ]
)
ITEM = pa.struct(
    [
        ("id", pa.string()),
        ("position", pa.int32()),
        ("score", pa.float64()),
        ("item_propensity", pa.float64()),
        ("rule_codes", pa.list_(pa.string())),
        ("is_fallback", pa.bool_()),
        ("is_visible", pa.bool_()),
    ]
)
REMOVED = pa.struct([("id", pa.string()), ("reason", pa.string()), ("rule", pa.string())])

LAKE_SCHEMA = pa.schema(
    [
        ("event_id", pa.string()),
        ("type", pa.string()),
        ("schema_version", pa.int32()),
        ("environment", pa.string()),
        ("surface", pa.string()),
        ("occurred_at", pa.timestamp("us", "UTC")),
        ("received_at", pa.timestamp("us", "UTC")),
        ("received_day", pa.string()),
        ("user_id", pa.string()),
        ("anonymous_id", pa.string()),
        ("session_id", pa.string()),
        ("request_id", pa.string()),
        ("decision_id", pa.string()),
        ("revision", pa.int64()),
        ("assignments", pa.list_(ASSIGNMENT)),
        ("items", pa.list_(ITEM)),
        ("removed", pa.list_(REMOVED)),
        ("item_id", pa.string()),
        ("position", pa.int32()),
        ("name", pa.string()),
        ("value", pa.float64()),
        ("currency", pa.string()),
        ("request", pa.string()),
        ("properties", pa.string()),
        ("source", pa.string()),
    ]
)

CONFIGURATION: Mapping[str, str | None] = {
    "delta.dataSkippingStatsColumns": ",".join(STATISTICS_COLUMNS),
    "delta.logRetentionDuration": "interval 1 days",
    "delta.deletedFileRetentionDuration": "interval 1 days",
}
WRITER = WriterProperties(compression="ZSTD", compression_level=3)


class LakeConflict(Exception):
    """Somebody else committed to the table since it was opened: open it again and look what stands there."""


def table_uri(lake_url: str) -> str:
    """Where the events table lives under `lake_url` (`file://…`, `s3://…`)."""
    return f"{lake_url.rstrip('/')}/{TABLE}"


def storage_options(lake_url: str, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Credentials and endpoint of an object store: the `AWS_*` variables as they stand; nothing for local files."""
    if lake_url.startswith("file:"):
        return {}
    return {name: value for name, value in environ.items() if name.startswith("AWS_")}


def local_path(lake_url: str) -> Path | None:
    """The directory of the events table when the lake is local, else None."""
    parts = urlsplit(lake_url)
    return Path(unquote(parts.path)) / TABLE if parts.scheme in ("", "file") else None


def open_table(lake_url: str) -> DeltaTable | None:
    """The table at its newest version; None when no event was ever moved."""
    uri, options = table_uri(lake_url), storage_options(lake_url)
    if not DeltaTable.is_deltatable(uri, storage_options=options):
        return None
    return DeltaTable(uri, storage_options=options)


def ensure_table(lake_url: str) -> DeltaTable:
    """The table at its newest version, created empty when it does not stand yet."""
    table = open_table(lake_url)
    if table is not None:
        return table
    path = local_path(lake_url)
    if path is not None:
        path.mkdir(parents=True, exist_ok=True)
    return DeltaTable.create(
        table_uri(lake_url),
        LAKE_SCHEMA,
        mode="ignore",
        partition_by=[PARTITION],
        configuration=dict(CONFIGURATION),
        storage_options=storage_options(lake_url),
    )


def rows_table(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Rows as `schemas.lake_row` makes them, as one Arrow table of `LAKE_SCHEMA`."""
    return pa.Table.from_pylist(list(rows), schema=LAKE_SCHEMA)


def append(table: DeltaTable, data: pa.Table, *, app_id: str, version: int) -> None:
    """Add `data` as batch `version` of writer `app_id`, in one commit on exactly the version `table` was opened at.

    The caller has checked `table.transaction_version(app_id) < version`: Delta itself accepts a version twice.
    Raises LakeConflict when the table has moved on.
    """
    _commit(table, data, mode="append", predicate=None, transactions=[Transaction(app_id, version)])


def days(table: DeltaTable) -> list[str]:
    """The received days the table holds, oldest first."""
    return sorted({partition[PARTITION] for partition in table.partitions()})


def scan(table: DeltaTable, columns: Sequence[str], day: str) -> Iterator[pa.RecordBatch]:
    """Some columns of one received day, batch by batch."""
    scanner = table.to_pyarrow_dataset().scanner(columns=list(columns), filter=pc.field(PARTITION) == day)
    return iter(scanner.to_batches())


def rewrite_day(table: DeltaTable, day: str, change: Callable[[pa.RecordBatch], pa.RecordBatch]) -> None:
    """Replace one received day by what `change` makes of its batches. Streams: a day is never in memory as a whole.

    The log says which day was rewritten, never why or for whom. Raises LakeConflict.
    """
    date.fromisoformat(day)
    old = scan(
        table, LAKE_SCHEMA.names, day
    )  # opened here: inside the writer's runtime the table cannot be read
    reader = pa.RecordBatchReader.from_batches(
        LAKE_SCHEMA, (change(batch.cast(LAKE_SCHEMA)) for batch in old)
    )
    _commit(table, reader, mode="overwrite", predicate=f"{PARTITION} = '{day}'", transactions=None)
    table.update_incremental()


def drop_day(table: DeltaTable, day: str) -> None:
    """Remove a whole received day."""
    date.fromisoformat(day)
    table.delete(f"{PARTITION} = '{day}'")


def compact(table: DeltaTable, *, days: Iterable[str], min_files: int) -> int:
    """Join the small files of each of `days` that has at least `min_files`; returns how many days were joined."""
    joined = 0
    for day in days:
        if len(table.file_uris(file_pruning_predicate=[(PARTITION, "=", day)])) >= min_files:
            table.optimize.compact(partition_filters=[(PARTITION, "=", day)], writer_properties=WRITER)
            joined += 1
    return joined


def vacuum(table: DeltaTable, *, hours: int) -> int:
    """Delete files no version of the last `hours` refers to, those of killed writers too; returns how many.

    `hours=0` breaks readers that opened the table before: only erasure does that.
    """
    removed = table.vacuum(retention_hours=hours, dry_run=False, enforce_retention_duration=False, full=True)
    return len(removed)


def tidy_log(table: DeltaTable) -> None:
    """Write a checkpoint and drop log entries older than the table's log retention."""
    table.create_checkpoint()
    table.cleanup_metadata()


def _commit(
    table: DeltaTable,
    data: pa.Table | pa.RecordBatchReader,
    *,
    mode: Any,
    predicate: str | None,
    transactions: list[Transaction] | None,
) -> None:
    try:
        write_deltalake(
            table,
            data,
            mode=mode,
            predicate=predicate,
            writer_properties=WRITER,
            commit_properties=CommitProperties(app_transactions=transactions, max_commit_retries=0),
        )
    except CommitFailedError as error:
        raise LakeConflict(str(error)) from error
