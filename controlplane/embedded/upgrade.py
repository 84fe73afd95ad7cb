"""Move a data directory to our PostgreSQL major: dump with the old programs, load with ours."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from controlplane.embedded import postgres, wheels
from controlplane.embedded.account import account, server_environment
from controlplane.embedded.places import DATABASE, OWNER_ROLE, SUPERUSER, Places
from controlplane.embedded.refusals import ExitCode, Refusal


def to_our_major(where: Places, old_bin: Path | None, *, say: Callable[[str], None]) -> None:
    """Dump `where.data` with the programs in `old_bin`, load it into a new one, keep the old one beside it.

    Does nothing when the majors agree already. Nothing is moved before the dump is whole.
    """
    old, new = postgres.data_major(where), postgres.program_major()
    if old is None or old == new:
        say(f"the data is of PostgreSQL {new} already; nothing to upgrade")
        return
    programs = _old_programs(old_bin, old)
    dump = where.var_dir / f"upgrade-from-{old}.dump"
    say(f"dumping PostgreSQL {old} with {programs}")
    with _serving(where, programs):
        _run([str(wheels.postgres_bin() / "pg_dump"), "-Fc", "-f", str(dump), _url(where)])
        transaction = _next_transaction(where)
    kept = where.data.with_name(f"postgres.{old}.{datetime.now(UTC):%Y%m%dT%H%M%S}")
    where.data.rename(kept)
    say(f"loading into PostgreSQL {new}; the old data stays in {kept}")
    try:
        _load(where, dump, transaction)
    except Refusal:
        where.data.rename(where.data.with_name(f"postgres.failed.{datetime.now(UTC):%Y%m%dT%H%M%S}"))
        kept.rename(where.data)
        raise
    dump.unlink()


def _load(where: Places, dump: Path, transaction: int) -> None:
    postgres.start_transactions_above(where, transaction)
    with _serving(where, wheels.postgres_bin()):
        postgres.set_up_roles(where)
        postgres.forget_default_rights(_url(where), OWNER_ROLE)
        program = str(wheels.postgres_bin() / "pg_restore")
        _run([program, "--exit-on-error", "--dbname", _url(where), str(dump)])


def _old_programs(old_bin: Path | None, major: str) -> Path:
    if old_bin is None or not (old_bin / "postgres").is_file():
        raise Refusal(
            ExitCode.OTHER_MAJOR,
            f"the data is of PostgreSQL {major}: give the folder of its programs with --old-bin, "
            f"such as /usr/lib/postgresql/{major}/bin",
        )
    said = subprocess.run(
        [str(old_bin / "postgres"), "--version"], check=True, capture_output=True, text=True
    )
    if said.stdout.split()[2].partition(".")[0] != major:
        raise Refusal(
            ExitCode.OTHER_MAJOR, f"{old_bin} is {said.stdout.strip()}, the data is of PostgreSQL {major}"
        )
    return old_bin


def _url(where: Places) -> str:
    return where.database_url(SUPERUSER, DATABASE)


def _next_transaction(where: Places) -> int:
    with psycopg.connect(_url(where)) as connection:
        row = connection.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint").fetchone()
    if row is None:
        raise RuntimeError("PostgreSQL answered nothing")
    return int(row[0])


def _run(command: list[str]) -> None:
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, env=os.environ | {"LC_ALL": "C"}
    )
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or ["it said nothing"])[0]
        raise Refusal(ExitCode.OTHER_MAJOR, f"{Path(command[0]).name}: {said}")


@contextmanager
def _serving(where: Places, programs: Path) -> Iterator[None]:
    """The programs in `programs` serve the data directory for the length of the block."""
    user = account(where.data)
    user.own(where.run)
    postgres.write_access(where, user)
    control, log = str(programs / "pg_ctl"), where.data / "upgrade.log"
    touches = (where.data, where.run, programs / "pg_ctl")

    def run_control(*arguments: str) -> int:
        line = user.command(
            [control, "-D", str(where.data), "-w", "-l", str(log), *arguments], touches=touches
        )
        return subprocess.run(
            line, check=False, env=server_environment(), stdout=subprocess.DEVNULL
        ).returncode

    if run_control("-o", f"-k {where.run} -c listen_addresses=", "start") != 0:
        raise Refusal(ExitCode.OTHER_MAJOR, f"{control} cannot start {where.data}; see {log}")
    try:
        yield
    finally:
        run_control("-m", "fast", "stop")
