"""Backup here, restore there: the same content, or a refusal that touches nothing."""

import dataclasses
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from controlplane.embedded import backup, restore, services, wheels
from controlplane.embedded.parts import Parts
from controlplane.embedded.places import Places, places
from controlplane.embedded.processes import ROOT
from controlplane.embedded.refusals import ExitCode, Refusal
from tests.embedded.conftest import FOLDER, bare_environment

BEHIND = (
    "this server's transaction ids are behind the backup's: audit events not sealed before wait to be sealed"
)
AT = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


def _parts(where: Places, secret: str = "the secret") -> Parts:
    return Parts(
        owner_url=where.addresses()["DATABASE_OWNER_URL"],
        direct_url=where.addresses()["DATABASE_DIRECT_URL"],
        lake_url=f"file://{where.var_dir}/lake",
        keys=where.var_dir / "keys",
        anchor_file=where.var_dir / "anchors" / "audit.jsonl",
        state=where.var_dir / "state",
        secret_key=secret,
    )


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


@pytest.fixture(scope="module")
def where() -> Iterator[Places]:
    """A running installation, one for this module."""
    with tempfile.TemporaryDirectory(prefix="cp-test-", dir=FOLDER) as folder:
        at = places(Path(folder) / "var")
        environment = services.ensure_running(at.var_dir)
        with psycopg.connect(environment["DATABASE_OWNER_URL"]) as owner:
            owner.execute("CREATE EXTENSION pg_trgm")
            owner.execute("CREATE TABLE note (id int, text text, by xid8 DEFAULT pg_current_xact_id())")
            owner.execute("CREATE TABLE trail (id int)")
            owner.execute("REVOKE UPDATE, DELETE ON trail FROM controlplane_web")
        yield at
        services.stop(at.var_dir)


@pytest.fixture
def filled(where: Places) -> Parts:
    """The installation with something in every part."""
    with psycopg.connect(where.database_url("controlplane")) as owner:
        owner.execute("DELETE FROM note")
        owner.execute("INSERT INTO note (id, text) VALUES (1, 'one'), (2, 'two')")
    shutil.rmtree(where.var_dir / "lake", ignore_errors=True)
    _put(where.var_dir / "lake" / "events" / "_delta_log" / "0.json", b"{}")
    _put(where.var_dir / "lake" / "events" / "received_day=2026-11-23" / "a.parquet", bytes(range(256)) * 40)
    _put(where.var_dir / "keys" / "seal.ed25519", b"key")
    _put(where.var_dir / "anchors" / "audit.jsonl", b'{"number": 1}\n')
    _put(where.var_dir / "state" / "serve" / "production.json", b"state")
    _put(where.var_dir / "state" / "beat-schedule.db", b"torn")
    return _parts(where)


@pytest.fixture
def other(where: Places, tmp_path: Path) -> Iterator[Places]:
    """Where to restore: another, empty VAR_DIR."""
    at = places(where.var_dir.parent / tmp_path.name)
    yield at
    services.stop(at.var_dir)


def test_restore__into_an_empty_folder__brings_everything_back(
    filled: Parts, other: Places, tmp_path: Path
) -> None:
    target, manifest = backup.back_up(filled, tmp_path, at=AT)
    said: list[str] = []

    restore.restore(other, _parts(other), target, force=False, at=AT, say=said.append)

    with psycopg.connect(other.database_url("controlplane_web")) as web:
        assert web.execute("SELECT id, text FROM note ORDER BY id").fetchall() == [(1, "one"), (2, "two")]
        web.execute("INSERT INTO note (id, text) VALUES (3, 'three')")
        older, newer = (
            web.execute("SELECT min(by::text::bigint), max(by::text::bigint) FROM note").fetchone() or ()
        )
        assert older < manifest.transaction < newer
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            web.execute("DELETE FROM trail")
    assert target.name == "controlplane-20261123T100000Z.tar"
    assert target.stat().st_mode & 0o777 == 0o600
    for part, content in {
        "lake/events/_delta_log/0.json": b"{}",
        "lake/events/received_day=2026-11-23/a.parquet": bytes(range(256)) * 40,
        "keys/seal.ed25519": b"key",
        "anchors/audit.jsonl": b'{"number": 1}\n',
        "state/serve/production.json": b"state",
    }.items():
        assert (other.var_dir / part).read_bytes() == content
        assert (other.var_dir / part).stat().st_mode & 0o777 == 0o600
    assert not (other.var_dir / "state" / "beat-schedule.db").exists()
    assert "SECRET_KEY=the secret\n" in other.runtime_env.read_text()
    assert said[0] == f"{target}: 7 files of 2026-11-23T10:00:00+00:00, every digest agrees"


def test_backup__lake_being_changed__waits_for_its_lock(filled: Parts, tmp_path: Path) -> None:
    """What the holder of the lock does to lake and database is in the backup on both sides or on neither."""
    lake = Path(filled.lake_url.removeprefix("file://"))
    done: list[tuple[Path, backup.Manifest]] = []
    with psycopg.connect(filled.owner_url, autocommit=True) as mover:
        mover.execute("SELECT pg_advisory_lock(hashtext('controlplane.lake'))")
        thread = threading.Thread(target=lambda: done.append(backup.back_up(filled, tmp_path, at=AT)))
        thread.start()
        query = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        while mover.execute(query).fetchone() == (0,):
            pass
        _put(lake / "events" / "_delta_log" / "1.json", b"{}")
        mover.execute("DELETE FROM note")
        assert done == []
        mover.execute("SELECT pg_advisory_unlock(hashtext('controlplane.lake'))")
    thread.join()

    target, manifest = done[0]
    assert "lake/events/_delta_log/1.json" in manifest.members
    with tarfile.open(target) as archive:
        archive.extract("database.dump", tmp_path, filter="data")
    listed = subprocess.run(
        [
            str(wheels.postgres_bin() / "pg_restore"),
            "-f",
            "-",
            "-a",
            "-t",
            "note",
            str(tmp_path / "database.dump"),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "COPY public.note (id, text, by) FROM stdin;\n\\.\n" in listed.stdout


def test_backup__target_exists__is_refused(filled: Parts, tmp_path: Path) -> None:
    (tmp_path / "b.tar").write_text("mine")

    with pytest.raises(Refusal, match="exists; give another name") as refused:
        backup.back_up(filled, tmp_path / "b.tar", at=AT)
    assert refused.value.exit_code == ExitCode.NOT_EMPTY
    assert (tmp_path / "b.tar").read_text() == "mine"


def test_restore__damaged_backup__is_refused_before_anything_is_touched(
    filled: Parts, other: Places, tmp_path: Path
) -> None:
    target, _ = backup.back_up(filled, tmp_path, at=AT)
    content = bytearray(target.read_bytes())
    content[content.find(bytes(range(256)))] ^= 1
    target.write_bytes(content)

    with pytest.raises(
        Refusal, match=r"is damaged: lake/events/received_day=2026-11-23/a\.parquet is not"
    ) as refused:
        restore.restore(other, _parts(other), target, force=False, at=AT, say=lambda _line: None)

    assert refused.value.exit_code == ExitCode.DAMAGED
    assert list(other.var_dir.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"no tar at all"])
def test_restore__no_backup__is_refused(other: Places, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "b.tar").write_bytes(content)

    with pytest.raises(Refusal) as refused:
        restore.restore(other, _parts(other), tmp_path / "b.tar", force=False, at=AT, say=lambda _line: None)
    assert refused.value.exit_code == ExitCode.DAMAGED


def test_restore__target_holds_data__is_refused_and_forced_moves_it_aside(
    where: Places, filled: Parts, tmp_path: Path
) -> None:
    target, _ = backup.back_up(filled, tmp_path, at=AT)
    with psycopg.connect(filled.owner_url) as owner:
        owner.execute("DELETE FROM note")

    with pytest.raises(Refusal, match="not empty: ") as refused:
        restore.restore(where, filled, target, force=False, at=AT, say=lambda _line: None)
    assert refused.value.exit_code == ExitCode.NOT_EMPTY
    with psycopg.connect(filled.owner_url) as owner:
        assert owner.execute("SELECT count(*) FROM note").fetchone() == (0,)

    restore.restore(where, filled, target, force=True, at=AT, say=lambda _line: None)
    with psycopg.connect(filled.owner_url) as owner:
        assert owner.execute("SELECT count(*) FROM note").fetchone() == (2,)
    aside = where.var_dir / "replaced-20261123T100000Z"
    assert sorted(path.name for path in aside.iterdir()) == [
        "audit.jsonl",
        "keys",
        "lake",
        "postgres",
        "state",
    ]


def test_commands__backup_then_restore__end_with_exit_code_0(
    where: Places, filled: Parts, other: Places, tmp_path: Path
) -> None:
    def run(at: Places, *command: str) -> str:
        done = subprocess.run(
            [sys.executable, "manage.py", *command],
            cwd=ROOT,
            env=bare_environment(at),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.splitlines()[-1]

    assert run(where, "backup", str(tmp_path / "b.tar")).startswith(f"{tmp_path / 'b.tar'}: 7 files, ")
    assert run(other, "restore", str(tmp_path / "b.tar")) == (
        f"restored into {other.var_dir}; start it with: python manage.py up"
    )
    assert not services.running(other.var_dir)
    assert (other.data / "PG_VERSION").exists()


def test_restore__into_a_server_of_ones_own__loads_refuses_and_replaces(
    filled: Parts, other: Places, where: Places, tmp_path: Path
) -> None:
    with psycopg.connect(filled.owner_url, autocommit=True) as busy:
        for _ in range(
            500
        ):  # an installation that was at work: its transaction ids are ahead of a new server's
            busy.execute("SELECT pg_current_xact_id()")
    target, manifest = backup.back_up(filled, tmp_path, at=AT)
    foreign = places(where.var_dir.parent / "foreign")
    environment = services.ensure_running(foreign.var_dir)
    parts = dataclasses.replace(
        _parts(other),
        owner_url=environment["DATABASE_OWNER_URL"],
        direct_url=environment["DATABASE_DIRECT_URL"],
        lake_url="s3://bucket/lake",
    )

    def load(*, force: bool) -> list[str]:
        said: list[str] = []
        restore.restore(other, parts, target, force=force, at=AT, say=said.append)
        return said

    def notes() -> list[tuple[int]]:
        with psycopg.connect(environment["DATABASE_URL"]) as web:
            return web.execute("SELECT id FROM note ORDER BY id").fetchall()

    try:
        said = load(force=False)
        assert notes() == [(1,), (2,)]
        assert not other.data.exists()
        assert not (other.var_dir / "lake").exists()
        assert said[1:] == [
            BEHIND,
            f"the lake s3://bucket/lake is a store of its own: bring it to its version of {manifest.at}",
            f"erasures asked for after {manifest.at} are not in this backup: ask for them again",
        ]
        with pytest.raises(Refusal, match="the database has tables already; --force replaces them"):
            load(force=False)
        with psycopg.connect(environment["DATABASE_OWNER_URL"]) as owner:
            owner.execute("DELETE FROM note")
        load(force=True)
        assert notes() == [(1,), (2,)]
    finally:
        services.stop(foreign.var_dir)
