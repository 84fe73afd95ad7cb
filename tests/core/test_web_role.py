"""What the database lets the web role do, on a schema made by the owner as an installation makes it."""

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

ROOT = Path(__file__).resolve().parents[2]
GRANTS = ROOT / "controlplane" / "embedded" / "grants.sql"
TRAILS = ("core_auditevent", "core_auditseal", "core_sealedevent", "core_securityevent")


def address(database: str, role: str) -> str:
    """The address of a database on the tests' server for a role; the host stays what DATABASE_URL says."""
    parts = urlsplit(os.environ["DATABASE_URL"])
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{role}@{host}", path=f"/{database}").geturl()


@pytest.fixture(scope="module")
def installed(django_db_setup: None) -> Iterator[str]:
    """A database whose schema the owner migrated; its name."""
    name = f"test_grants_{secrets.token_hex(4)}"
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as server:
        for role in ("controlplane", "controlplane_web"):
            if not server.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone():
                server.execute(f"CREATE ROLE {role} LOGIN".encode())
        server.execute(f"CREATE DATABASE {name} OWNER controlplane".encode())
        superuser = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}").geturl()
        with psycopg.connect(superuser, autocommit=True) as database:
            database.execute(GRANTS.read_bytes())
        url = address(name, "controlplane")
        subprocess.run(
            [sys.executable, "-W", "ignore", "manage.py", "migrate", "--verbosity", "0"],
            cwd=ROOT,
            env={**os.environ, "DATABASE_URL": url, "DATABASE_OWNER_URL": url, "DATABASE_DIRECT_URL": url},
            check=True,
            timeout=170,
        )
        yield name
        server.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.mark.parametrize("table", TRAILS)
def test_web_role__on_a_trail__may_read_and_append_only(installed: str, table: str) -> None:
    rights = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE")
    with psycopg.connect(address(installed, "controlplane_web")) as web:
        held = {
            right: web.execute("SELECT has_table_privilege(%s, %s)", [table, right]).fetchone()
            for right in rights
        }

    assert held == {
        "SELECT": (True,),
        "INSERT": (True,),
        "UPDATE": (False,),
        "DELETE": (False,),
        "TRUNCATE": (False,),
    }


@pytest.mark.parametrize(
    "statement",
    ["UPDATE core_auditevent SET subject = 'x'", "DELETE FROM core_auditevent", "TRUNCATE core_auditevent"],
)
def test_web_role__changes_the_trail__is_refused(installed: str, statement: str) -> None:
    with (
        psycopg.connect(address(installed, "controlplane_web")) as web,
        pytest.raises(psycopg.errors.InsufficientPrivilege, match="permission denied"),
    ):
        web.execute(statement.encode())


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE core_auditevent DISABLE TRIGGER ALL",
        "DROP TABLE core_auditevent",
        "SET session_replication_role = replica",
        "CREATE TABLE mine (id int)",
    ],
)
def test_web_role__gets_round_the_triggers__is_refused(installed: str, statement: str) -> None:
    with (
        psycopg.connect(address(installed, "controlplane_web")) as web,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        web.execute(statement.encode())


def test_web_role__everything_else__may_be_written(installed: str) -> None:
    with psycopg.connect(address(installed, "controlplane_web")) as web:
        web.execute(
            "INSERT INTO catalog_environment (key, name, kind, colour, protected, created_at, row_version)"
            " VALUES ('qa', 'QA', 'staging', '#000000', false, now(), 1)"
        )
        web.execute("UPDATE catalog_environment SET name = 'Q'")
        web.execute("DELETE FROM catalog_environment")


def test_owner__changes_the_trail__is_refused_by_the_trigger(installed: str) -> None:
    with psycopg.connect(address(installed, "controlplane"), autocommit=True) as owner:
        owner.execute(
            "INSERT INTO core_securityevent (at, kind, operation, subject, actor_kind, actor_id, address, code,"
            " detail, request_id) VALUES (now(), 'login', '', '', '', '', '', '', '', '')"
        )
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="are never changed or removed"):
            owner.execute("DELETE FROM core_securityevent")
