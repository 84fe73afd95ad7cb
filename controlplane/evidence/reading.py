"""Reading the lake: the files of one version of the events table, as an Ibis table on an embedded DuckDB.

DuckDB reads the Parquet files that the Delta log names; days that cannot hold events of the window are left
out. Only processes that never fork may import this module (see `controlplane.events.lake`).
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

import ibis

from controlplane.events import lake

EARLY = timedelta(days=1)
"""How far a sender's clock may run ahead, so that an event is received on a day before it says it
occurred.
"""


@dataclass(frozen=True, slots=True)
class OpenLake:
    """The events of one lake version; None while no event was ever moved."""

    events: ibis.Table
    version: int | None


def open_lake(
    lake_url: str,
    *,
    since: datetime | None,
    memory_mb: int | None = None,
    threads: int | None = None,
    spill_dir: Path | None = None,
) -> OpenLake:
    """The newest version of the events table, without days received before `since` less a day of clock skew.

    Beyond `memory_mb` queries spill to `spill_dir`, or fail when there is none.
    """
    connection = ibis.duckdb.connect()
    connection.raw_sql("SET TimeZone = 'UTC'")
    spill = "" if spill_dir is None else str(spill_dir).replace("'", "''")
    connection.raw_sql(f"SET temp_directory = '{spill}'")
    if memory_mb is not None:
        connection.raw_sql(f"SET memory_limit = '{int(memory_mb)}MB'")
    if threads is not None:
        connection.raw_sql(f"SET threads = {int(threads)}")
    table = lake.open_table(lake_url)
    if table is None:
        return OpenLake(connection.create_table("events", lake.LAKE_SCHEMA.empty_table()), None)
    oldest = None if since is None else (since.astimezone(UTC) - EARLY).date().isoformat()
    files = table.file_uris(None if oldest is None else [(lake.PARTITION, ">=", oldest)])
    if not files:
        return OpenLake(connection.create_table("events", lake.LAKE_SCHEMA.empty_table()), table.version())
    if lake.local_path(lake_url) is None:
        # DuckDB itself reads local files only; an object store is read through Arrow.
        dataset = table.to_pyarrow_dataset()
        return OpenLake(connection.read_in_memory(dataset, table_name="events"), table.version())
    # Days stay text, as the Delta log has them: DuckDB would take them for dates.
    return OpenLake(
        connection.read_parquet(
            [unquote(urlsplit(file).path) if "://" in file else unquote(file) for file in files],
            table_name="events",
            hive_partitioning=True,
            hive_types_autocast=False,
        ),
        table.version(),
    )
