"""Bring a backup back: verify all of it first, then load it into an empty place."""

import hashlib
import json
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, Any

import psycopg

from controlplane.embedded import postgres, preflight, runtime_env, services, wheels
from controlplane.embedded.backup import DUMP, FORMAT, MANIFEST, SECRET, Manifest, heads
from controlplane.embedded.parts import Parts
from controlplane.embedded.places import Places
from controlplane.embedded.refusals import ExitCode, Refusal


def restore(
    where: Places, parts: Parts, source: Path, *, force: bool, at: datetime, say: Callable[[str], None]
) -> Manifest:
    """Verify `source`, then load it. Database and broker are left running; the caller stops them. Raises Refusal.

    force: what is there is moved to VAR_DIR/replaced-<time> first (a database of the operator's own is cleaned).
    """
    preflight.check_writable(where)
    if services.supervised(where):
        raise Refusal(ExitCode.ANOTHER_COPY, f"manage.py up runs on {where.var_dir}; stop it first")
    embedded = parts.owner_url == where.addresses()["DATABASE_OWNER_URL"]
    with _archive(source) as archive:
        manifest = _verified(archive, source)
        say(f"{source}: {len(manifest.members)} files of {manifest.at}, every digest agrees")
        _make_room(where, parts, embedded=embedded, force=force, at=at, say=say)
        secret = _read(archive, SECRET)
        runtime_env.replace_secret(where, json.loads(secret)["SECRET_KEY"])
        for name in manifest.members:
            path = parts.path_of(name)
            if path is not None:
                _extract(archive, name, path)
        if embedded:
            postgres.start_transactions_above(where, manifest.transaction)
            services.ensure_running(where.var_dir)
        _load(archive, parts, clean=force and not embedded)
    _compare(parts, manifest, say=say)
    return manifest


@contextmanager
def _archive(source: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(source, "r:") as archive:
            yield archive
    except (OSError, tarfile.TarError) as error:
        raise Refusal(ExitCode.DAMAGED, f"cannot read {source}: {error}") from error


def _member(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    try:
        file = archive.extractfile(archive.getmember(name))
    except KeyError:
        file = None
    if file is None:
        raise Refusal(ExitCode.DAMAGED, f"the backup lacks {name}")
    return file


def _read(archive: tarfile.TarFile, name: str) -> bytes:
    with _member(archive, name) as file:
        return file.read()


def _digest(file: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while chunk := file.read(2**20):
        digest.update(chunk)
    return digest.hexdigest()


def _verified(archive: tarfile.TarFile, source: Path) -> Manifest:
    try:
        content: dict[str, Any] = json.loads(_read(archive, MANIFEST))
        manifest = Manifest(**content)
    except (ValueError, TypeError) as error:
        raise Refusal(
            ExitCode.DAMAGED, f"{source} is no backup of this product: its manifest cannot be read"
        ) from error
    if manifest.format != FORMAT:
        raise Refusal(ExitCode.DAMAGED, f"{source} has format {manifest.format}; this version reads {FORMAT}")
    present = set(archive.getnames()) - {MANIFEST}
    if present != set(manifest.members):
        odd = min(present ^ set(manifest.members))
        raise Refusal(ExitCode.DAMAGED, f"{source} and its manifest disagree about {odd}")
    for name, entry in manifest.members.items():
        with _member(archive, name) as file:
            if _digest(file) != entry["sha256"]:
                raise Refusal(ExitCode.DAMAGED, f"{source} is damaged: {name} is not what the manifest says")
    return manifest


def _make_room(
    where: Places, parts: Parts, *, embedded: bool, force: bool, at: datetime, say: Callable[[str], None]
) -> None:
    taken = [path for path in (*parts.folders().values(), parts.anchor_file) if _is_taken(path)]
    if embedded:
        taken += [where.data] if postgres.data_major(where) is not None else []
    elif not force and _has_tables(parts):
        raise Refusal(ExitCode.NOT_EMPTY, "the database has tables already; --force replaces them")
    if not taken:
        return
    if not force:
        listed = ", ".join(str(path) for path in taken)
        raise Refusal(
            ExitCode.NOT_EMPTY, f"not empty: {listed}; choose another VAR_DIR, or --force moves it aside"
        )
    services.stop(where.var_dir)
    aside = where.var_dir / f"replaced-{at:%Y%m%dT%H%M%SZ}"
    aside.mkdir(mode=0o700)
    for path in taken:
        shutil.move(path, aside / path.name)
    say(f"what was there is now in {aside}")


def _is_taken(path: Path) -> bool:
    return path.is_file() or (path.is_dir() and any(path.iterdir()))


def _has_tables(parts: Parts) -> bool:
    with psycopg.connect(parts.owner_url) as connection:
        row = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
    return row is not None and row[0] > 0


def _extract(archive: tarfile.TarFile, name: str, path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _member(archive, name) as file, path.open("wb") as out:
        path.chmod(0o600)
        while chunk := file.read(2**20):
            out.write(chunk)


def _load(archive: tarfile.TarFile, parts: Parts, *, clean: bool) -> None:
    program = wheels.postgres_bin() / "pg_restore"
    line = [
        str(program),
        "--no-owner",
        "--exit-on-error",
        "--single-transaction",
        f"--dbname={parts.owner_url}",
    ]
    if clean:
        line += ["--clean", "--if-exists"]
    with psycopg.connect(parts.owner_url) as connection:
        row = connection.execute("SELECT quote_ident(current_user)").fetchone()
    postgres.forget_default_rights(parts.owner_url, str(row and row[0]))
    with _member(archive, DUMP) as dump:
        process = subprocess.Popen(
            line, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        said = process.communicate(dump.read())[1]
    if process.returncode != 0:
        first = (said.decode("utf-8", "replace").strip().splitlines() or ["it said nothing"])[0]
        raise Refusal(ExitCode.SERVER_UNSUITABLE, f"pg_restore failed: {first}")


def _compare(parts: Parts, manifest: Manifest, *, say: Callable[[str], None]) -> None:
    with psycopg.connect(parts.owner_url) as connection:
        found = heads(connection)
        row = connection.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint").fetchone()
    if found != manifest.heads:
        raise Refusal(ExitCode.DAMAGED, f"the restored heads are {found}, the backup's were {manifest.heads}")
    for environment, revision in found.items():
        say(f"head of {environment}: revision {revision}")
    if row is not None and row[0] < manifest.transaction:
        say(
            "this server's transaction ids are behind the backup's: audit events not sealed before wait to be sealed"
        )
    if parts.lake is None:
        say(f"the lake {parts.lake_url} is a store of its own: bring it to its version of {manifest.at}")
    say(f"erasures asked for after {manifest.at} are not in this backup: ask for them again")
