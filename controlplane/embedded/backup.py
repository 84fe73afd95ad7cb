"""One consistent set of everything an installation knows: database, lake, keys, anchors, state, secret.

Order makes it consistent. Anchors and state first: what they name, the database has too. Then the lake lock, so that
neither mover nor erasure nor compaction changes the lake, and only then the database's snapshot and the lake's files:
every event is in the buffer or in the lake, as of one moment. Events keep arriving meanwhile; they are simply later.
"""

import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg

from controlplane.embedded import wheels
from controlplane.embedded.parts import Parts
from controlplane.embedded.refusals import ExitCode, Refusal

FORMAT = 1
MANIFEST, DUMP, SECRET = "manifest.json", "database.dump", "secret.json"
# The lock that everything that changes the lake holds, a session's advisory lock by this name; see docs/contract.md.
LAKE_LOCK = "controlplane.lake"
LOCK_SECONDS = 120
HEADS = """
SELECT head.environment, revision.number
FROM rulesets_head AS head JOIN rulesets_revision AS revision ON revision.id = head.revision_id
ORDER BY head.environment
"""


@dataclass(frozen=True)
class Manifest:
    """What a backup holds: every member with size and SHA-256, and where the installation stood.

    transaction: PostgreSQL's next 64-bit transaction id, which a restored server must start above.
    heads: newest revision per environment. lake: its address; the files are inside when it was a folder.
    """

    format: int
    at: str
    server: str
    transaction: int
    heads: dict[str, int]
    lake: str
    members: dict[str, dict[str, Any]]


def back_up(parts: Parts, target: Path, *, at: datetime) -> tuple[Path, Manifest]:
    """Write a backup to `target`, a file that does not exist yet or a folder to make one in. Raises Refusal."""
    if target.is_dir():
        target = target / f"controlplane-{at:%Y%m%dT%H%M%SZ}.tar"
    if target.exists():
        raise Refusal(ExitCode.NOT_EMPTY, f"{target} exists; give another name or a folder")
    partial = target.with_name(f".{target.name}.partial")
    try:
        partial.unlink(missing_ok=True)
        partial.touch(0o600)
        with tarfile.open(partial, "w", format=tarfile.PAX_FORMAT) as archive:
            manifest = _write(archive, parts, partial, at=at)
        partial.rename(target)
    except OSError as error:
        raise Refusal(ExitCode.NOT_WRITABLE, f"cannot write {target}: {error.strerror or error}") from error
    finally:
        partial.unlink(missing_ok=True)
    return target, manifest


def _write(archive: tarfile.TarFile, parts: Parts, partial: Path, *, at: datetime) -> Manifest:
    members: dict[str, dict[str, Any]] = {}
    for name, path in parts.small_files():
        _add(archive, members, name, path.read_bytes())
    _add(archive, members, SECRET, json.dumps({"SECRET_KEY": parts.secret_key}).encode())
    dump = partial.with_suffix(".dump")
    try:
        with _lake_held(parts), _snapshot(parts) as (connection, snapshot):
            facts = _facts(connection)
            dump.touch(0o600)
            _dump(parts, dump, snapshot)
            _add_file(archive, members, DUMP, dump)
            for name, path in parts.lake_files():
                _add_file(archive, members, name, path)
    finally:
        dump.unlink(missing_ok=True)
    manifest = Manifest(
        format=FORMAT,
        at=at.isoformat(timespec="seconds"),
        lake=parts.lake_url,
        members=members,
        **facts,
    )
    _add(archive, {}, MANIFEST, json.dumps(asdict(manifest), indent=1, sort_keys=True).encode())
    return manifest


@contextmanager
def _lake_held(parts: Parts) -> Iterator[None]:
    with psycopg.connect(parts.direct_url, autocommit=True) as connection:
        connection.execute("SELECT set_config('lock_timeout', %s, false)", [f"{LOCK_SECONDS}s"])
        try:
            connection.execute("SELECT pg_advisory_lock(hashtext(%s))", [LAKE_LOCK])
        except psycopg.errors.LockNotAvailable:
            message = f"no backup now: somebody else has been changing the lake for {LOCK_SECONDS} s; try again later"
            raise Refusal(ExitCode.ANOTHER_COPY, message) from None
        yield


@contextmanager
def _snapshot(parts: Parts) -> Iterator[tuple[psycopg.Connection, str]]:
    """A connection that holds one moment of the database still, and that moment's name for pg_dump."""
    with psycopg.connect(parts.owner_url) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        row = connection.execute("SELECT pg_export_snapshot()").fetchone()
        if row is None:
            raise RuntimeError("PostgreSQL exported no snapshot")
        yield connection, str(row[0])


def _facts(connection: psycopg.Connection) -> dict[str, Any]:
    row = connection.execute(
        "SELECT current_setting('server_version'), pg_snapshot_xmax(pg_current_snapshot())::text::bigint"
    ).fetchone()
    if row is None:
        raise RuntimeError("PostgreSQL answered nothing")
    return {"server": row[0], "transaction": row[1], "heads": heads(connection)}


def heads(connection: psycopg.Connection) -> dict[str, int]:
    """Newest revision per environment; empty before the first migration."""
    table = connection.execute("SELECT to_regclass('rulesets_head')").fetchone()
    if table is None or table[0] is None:
        return {}
    return dict(connection.execute(HEADS).fetchall())


def _dump(parts: Parts, dump: Path, snapshot: str) -> None:
    program = wheels.postgres_bin() / "pg_dump"
    line = [
        str(program),
        "--format=custom",
        "--no-owner",
        f"--snapshot={snapshot}",
        f"--file={dump}",
        parts.owner_url,
    ]
    done = subprocess.run(line, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or ["it said nothing"])[0]
        raise Refusal(ExitCode.SERVER_UNSUITABLE, f"pg_dump failed: {said}")


def _add(archive: tarfile.TarFile, members: dict[str, dict[str, Any]], name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), 0o600
    archive.addfile(entry, io.BytesIO(content))
    members[name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _add_file(archive: tarfile.TarFile, members: dict[str, dict[str, Any]], name: str, path: Path) -> None:
    entry = tarfile.TarInfo(name)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        entry.size, entry.mode = file.tell(), 0o600
        file.seek(0)
        archive.addfile(entry, file)
    members[name] = {"bytes": entry.size, "sha256": digest}
