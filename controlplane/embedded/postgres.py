"""The embedded PostgreSQL: make its data directory, run it on a Unix socket, set up its roles."""

import os
import pwd
import shutil
import subprocess
import time
from pathlib import Path

import psycopg
from psycopg import sql

from controlplane.embedded import wheels
from controlplane.embedded.account import Account, account
from controlplane.embedded.places import DATABASE, OWNER_ROLE, SUPERUSER, WEB_ROLE, Places
from controlplane.embedded.refusals import ExitCode, Refusal

# For a machine shared with everything else; docker/compose.yaml gives its server the same.
SETTINGS = (
    ("shared_buffers", "128MB"),
    ("max_connections", "100"),
    ("synchronous_commit", "on"),
    ("fsync", "on"),
    ("timezone", "UTC"),
    ("log_timezone", "UTC"),
)
GRANTS = Path(__file__).with_name("grants.sql")
START_SECONDS = 60.0
STOP_SECONDS = 30.0


def setting_arguments() -> list[str]:
    """SETTINGS as `-c name=value` arguments."""
    return [part for name, value in SETTINGS for part in ("-c", f"{name}={value}")]


def data_major(where: Places) -> str | None:
    """PostgreSQL major the data directory was made by; None before the first start."""
    try:
        return (where.data / "PG_VERSION").read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None


def program_major() -> str:
    """Major of the programs in the wheel."""
    said = subprocess.run(
        [str(wheels.postgres_bin() / "postgres"), "--version"], check=True, capture_output=True, text=True
    )
    return said.stdout.split()[-1].partition(".")[0]


def check_major(where: Places) -> None:
    """Refuse a data directory of another major."""
    found, ours = data_major(where), program_major()
    if found is not None and found != ours:
        raise Refusal(
            ExitCode.OTHER_MAJOR,
            f"{where.data} was made by PostgreSQL {found}, these programs are {ours}; "
            f"run: python manage.py up --upgrade --old-bin DIR (the bin directory of a PostgreSQL {found})",
        )


def initialise(where: Places) -> None:
    """Make the data directory if it is not there; all of it or nothing."""
    if data_major(where) is not None:
        return
    user, fresh = account(where.data), where.data.with_name("postgres.new")
    shutil.rmtree(fresh, ignore_errors=True)
    user.own(fresh)
    bin_dir = wheels.postgres_bin()
    command = [
        str(bin_dir / "initdb"),
        f"--pgdata={fresh}",
        f"--username={SUPERUSER}",
        "--auth=reject",
        "--encoding=UTF8",
        "--locale=C",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--no-instructions",
    ]
    done = subprocess.run(
        user.command(command, touches=(fresh, bin_dir / "initdb")),
        capture_output=True,
        text=True,
        env=os.environ | {"LC_ALL": "C"},
        check=False,
    )
    if done.returncode != 0:
        shutil.rmtree(fresh, ignore_errors=True)
        said = " ".join((done.stderr.strip() or done.stdout.strip()).splitlines()[-2:])
        raise Refusal(ExitCode.NOT_WRITABLE, f"could not make a database in {where.data}: {said}")
    if where.data.exists():
        where.data.rmdir()
    fresh.rename(where.data)


def prepare(where: Places) -> Account:
    """Everything before the server process: checks, data directory, access file, socket directory."""
    check_major(where)
    initialise(where)
    user = account(where.data)
    user.own(where.run)
    write_access(where, user)
    return user


def start_transactions_above(where: Places, transaction: int) -> None:
    """Make a new data directory whose transaction ids begin above `transaction`.

    Rows remember the 64-bit id of the transaction that wrote them (the audit trail's sealer compares it with
    those still running), so a server that receives another's rows must not begin below them. The epoch is its
    upper half.
    """
    user = prepare(where)
    program = wheels.postgres_bin() / "pg_resetwal"
    command = [str(program), "--epoch", str((transaction >> 32) + 1), "--pgdata", str(where.data)]
    done = subprocess.run(
        user.command(command, touches=(where.data, program)), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise Refusal(ExitCode.DAMAGED, f"pg_resetwal failed: {done.stderr.strip()}")


def write_access(where: Places, user: Account) -> None:
    # Over the socket the kernel names the caller. Only the user who runs this installation gets in, as any
    # role; as root that leaves out other programs of the unprivileged user the server runs as.
    operator = pwd.getpwuid(os.getuid()).pw_name
    files = {
        "pg_hba.conf": "local all all peer map=operator\n",
        "pg_ident.conf": f'operator "{operator}" all\n',
    }
    for name, content in files.items():
        fresh = where.data / f"{name}.new"
        fresh.write_text(content, encoding="utf-8")
        user.give(fresh)
        fresh.replace(where.data / name)


def server_command(where: Places) -> list[str]:
    """The server's own command line."""
    return [
        str(wheels.postgres_bin() / "postgres"),
        "-D",
        str(where.data),
        "-k",
        str(where.run),
        "-c",
        "listen_addresses=",
        "-c",
        "unix_socket_permissions=0700",
        *setting_arguments(),
    ]


def touches(where: Places) -> tuple[Path, ...]:
    """Paths the server's user must be able to walk to."""
    return (where.data, where.run, wheels.postgres_bin() / "postgres")


def is_up(where: Places) -> bool:
    """Does the server answer as this installation's superuser?"""
    try:
        with psycopg.connect(where.database_url(SUPERUSER, "postgres"), connect_timeout=5):
            return True
    except psycopg.OperationalError:
        return False


def is_set_up(where: Places) -> bool:
    """Does the server answer, with its roles and database in place? Makes them where they are not."""
    try:
        set_up_roles(where)
    except psycopg.OperationalError:
        return False
    return True


def set_up_roles(where: Places) -> None:
    """Make roles, database and default rights; may be repeated.

    The rights stand in template1 as well, so that test databases made from it have them.
    """
    with psycopg.connect(where.database_url(SUPERUSER, "postgres"), autocommit=True) as connection:
        for role in (OWNER_ROLE, WEB_ROLE):
            if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone():
                connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))
    _grant(where, "template1")
    with psycopg.connect(where.database_url(SUPERUSER, "postgres"), autocommit=True) as connection:
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
            statement = sql.SQL("CREATE DATABASE {} OWNER {}")
            connection.execute(statement.format(sql.Identifier(DATABASE), sql.Identifier(OWNER_ROLE)))
    _grant(where, DATABASE)


def _grant(where: Places, database: str) -> None:
    with psycopg.connect(where.database_url(SUPERUSER, database)) as connection:
        connection.execute(GRANTS.read_bytes())


def forget_default_rights(url: str, role: str) -> None:
    """Take back what `role` grants on tables and sequences it will make, before a dump of it is loaded.

    A dump grants what each table had and revokes nothing, so defaults that stand already would give the web role
    rights that were taken from it; the dump sets the defaults itself, at its end.
    """
    with psycopg.connect(url) as connection:
        granted = connection.execute(
            "SELECT DISTINCT CASE defaclobjtype WHEN 'r' THEN 'TABLES' ELSE 'SEQUENCES' END, grantee::regrole::text"
            " FROM pg_default_acl, aclexplode(defaclacl)"
            " WHERE defaclrole = %s::regrole AND grantee <> defaclrole AND grantee <> 0"
            " AND defaclnamespace = 0 AND defaclobjtype IN ('r', 'S')",
            [role],
        ).fetchall()
        for kind, grantee in granted:
            statement = sql.SQL("ALTER DEFAULT PRIVILEGES FOR ROLE {} REVOKE ALL ON {} FROM {}")
            connection.execute(statement.format(sql.SQL(role), sql.SQL(kind), sql.SQL(grantee)))


def stop(where: Places) -> None:
    """Stop a server that runs detached: refuse new work, roll back open transactions, write everything out."""
    if not (where.data / "postmaster.pid").exists():
        return
    user, program = account(where.data), wheels.postgres_bin() / "pg_ctl"
    command = [str(program), "stop", "-D", str(where.data), "-m", "fast", "-w", "-t", str(int(STOP_SECONDS))]
    subprocess.run(user.command(command, touches=(where.data, program)), capture_output=True, check=False)


def wait_until_up(where: Places, *, seconds: float = START_SECONDS) -> bool:
    """Wait for the server to answer; False when the time is over."""
    deadline = time.monotonic() + seconds
    while not is_up(where):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
