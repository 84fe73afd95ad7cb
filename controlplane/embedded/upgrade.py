"""Move a data directory to our PostgreSQL major: dump with the old programs, load with ours."""

import os
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from controlplane.embedded import postgres, wheels
from controlplane.embedded.account import account, server_environment
from controlplane.embedded.places import DATABASE, SUPERUSER, Places
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
    _serve_and(where, programs, [str(wheels.postgres_bin() / "pg_dump"), "-Fc", "-f", str(dump), _url(where)])
    kept = where.data.with_name(f"postgres.{old}.{datetime.now(UTC):%Y%m%dT%H%M%S}")
    where.data.rename(kept)
    say(f"loading into PostgreSQL {new}; the old data stays in {kept}")
    try:
        load_dump(where, dump)
    except Refusal:
        where.data.rename(where.data.with_name(f"postgres.failed.{datetime.now(UTC):%Y%m%dT%H%M%S}"))
        kept.rename(where.data)
        raise
    dump.unlink()


def load_dump(where: Places, dump: Path) -> None:
    """Make a new data directory of our major and load a `pg_dump -Fc` file of the whole database into it."""
    postgres.prepare(where)
    _serve_and(
        where,
        wheels.postgres_bin(),
        [str(wheels.postgres_bin() / "pg_restore"), "--exit-on-error", "--dbname", _url(where), str(dump)],
        set_up=True,
    )


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


def _serve_and(where: Places, programs: Path, command: list[str], *, set_up: bool = False) -> None:
    """Run `command` while the programs in `programs` serve the data directory."""
    user = account(where.data)
    user.own(where.run)
    postgres.write_access(where, user)
    options = f"-k {where.run} -c listen_addresses="
    control, log = str(programs / "pg_ctl"), where.data / "upgrade.log"
    touches = (where.data, where.run, programs / "pg_ctl")

    def run_control(*arguments: str) -> subprocess.CompletedProcess[str]:
        line = user.command(
            [control, "-D", str(where.data), "-w", "-l", str(log), *arguments], touches=touches
        )
        return subprocess.run(line, check=False, env=server_environment(), text=True, stdout=subprocess.PIPE)

    if run_control("-o", options, "start").returncode != 0:
        raise Refusal(ExitCode.OTHER_MAJOR, f"{control} cannot start {where.data}; see {log}")
    try:
        if set_up:
            postgres.set_up_roles(where)
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, env=os.environ | {"LC_ALL": "C"}
        )
        if done.returncode != 0:
            raise Refusal(
                ExitCode.OTHER_MAJOR, f"{Path(command[0]).name}: {done.stderr.strip().splitlines()[0]}"
            )
    finally:
        run_control("-m", "fast", "stop")
