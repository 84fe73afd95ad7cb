"""`manage.py up` as a person runs it: a process, its output, its exit code, and what it leaves behind."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from controlplane.embedded import postgres, services, upgrade, wheels
from controlplane.embedded.places import DATABASE, SUPERUSER, Places
from controlplane.embedded.processes import ROOT
from controlplane.embedded.refusals import ExitCode
from tests.embedded.conftest import Up, bare_environment, eventually, is_alive, mentions

SERVERS = ("--only", "database,broker")


def _ready(where: Places) -> bool:
    try:
        listed = json.loads(where.status.read_text())["processes"].values()
    except FileNotFoundError:
        return False
    return all(entry["state"] == "ready" for entry in listed)


def _refusal(process: "subprocess.Popen[str]") -> tuple[int, str]:
    _, said = process.communicate(timeout=30)
    return process.returncode, said


@pytest.mark.usefixtures("initialised")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_up__asked_to_end__ends_cleanly_with_no_process_left(
    where: Places, up: Up, number: signal.Signals
) -> None:
    process = up(*SERVERS)
    assert eventually(lambda: _ready(where))
    assert services.running(where.var_dir)
    pids = [entry["pid"] for entry in json.loads(where.status.read_text())["processes"].values()]

    process.send_signal(number)
    output, errors = process.communicate(timeout=90)  # a busy disk may hold up the database's last checkpoint

    assert (process.returncode, errors) == (0, "")
    assert "database | " in output
    assert "broker   | " in output
    assert not any(is_alive(pid) for pid in pids)
    assert mentions(str(where.var_dir)) == set()
    assert not (where.data / "postmaster.pid").exists()
    assert not where.status.exists()


@pytest.mark.usefixtures("initialised")
def test_up__killed__leaves_no_process_and_starts_again_with_its_data(where: Places, up: Up) -> None:
    process = up(*SERVERS)
    assert eventually(lambda: _ready(where))
    with psycopg.connect(where.database_url("controlplane")) as owner:
        owner.execute("CREATE TABLE note AS SELECT 'kept' AS text")

    process.kill()
    process.communicate(timeout=10)

    assert eventually(lambda: mentions(str(where.var_dir)) == set())
    again = up(*SERVERS)
    assert eventually(lambda: services.running(where.var_dir) and again.poll() is None)
    with psycopg.connect(where.database_url("controlplane_web")) as web:
        assert web.execute("SELECT text FROM note").fetchall() == [("kept",)]


@pytest.mark.usefixtures("initialised")
def test_up__database_killed__comes_back(where: Places, up: Up) -> None:
    up(*SERVERS)
    assert eventually(lambda: _ready(where))
    before = json.loads(where.status.read_text())["processes"]["database"]["pid"]

    os.kill(before, signal.SIGKILL)

    def is_back() -> bool:
        entry = json.loads(where.status.read_text())["processes"]["database"]
        return entry["pid"] not in {None, before} and entry["state"] == "ready" and entry["restarts"] == 1

    assert eventually(is_back)
    assert services.running(where.var_dir)


@pytest.mark.usefixtures("initialised")
def test_up__second_copy_on_the_folder__says_which_runs(where: Places, up: Up) -> None:
    first = up(*SERVERS)
    assert eventually(lambda: _ready(where))

    code, said = _refusal(up(*SERVERS))

    assert code == ExitCode.ANOTHER_COPY
    assert said == (
        f"manage.py: another manage.py up (pid {first.pid}) runs on {where.var_dir}; stop it, or set VAR_DIR\n"
    )
    assert services.running(where.var_dir)


def test_up__port_taken__says_so_before_anything_starts(where: Places, up: Up) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, said = _refusal(up("--only", "database,web", WEB_PORT=port))

    assert code == ExitCode.PORT_TAKEN
    assert said.startswith(f"manage.py: port {port} (WEB_PORT) is taken by ")
    assert said.count("\n") == 1
    assert not where.data.exists()


def test_up__unknown_name__lists_the_names(where: Places, up: Up) -> None:
    code, said = _refusal(up("--only", "databse"))

    assert code == ExitCode.SETTINGS
    assert said == (
        "manage.py: no process named databse; there are "
        "database, broker, migrate, bootstrap, serve, web, worker, beat\n"
    )


def test_up__low_open_file_limit__is_refused(where: Places) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", 'ulimit -n 300; exec "$0" manage.py up --only database', sys.executable],
        cwd=ROOT,
        env=bare_environment(where),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stderr) == (
        ExitCode.OPEN_FILES,
        "manage.py: only 300 files may be open at once, 1024 are needed; raise it: ulimit -n 4096\n",
    )


def test_up__external_servers__are_used_and_none_is_started(where: Places, up: Up, tmp_path: Path) -> None:
    elsewhere = Places(tmp_path / "elsewhere")
    environment = services.ensure_running(elsewhere.var_dir)
    try:
        up(*SERVERS, DATABASE_URL=environment["DATABASE_URL"], BROKER_URL=environment["BROKER_URL"])
        assert eventually(where.up_lock.exists)
        assert eventually(lambda: services.supervised(where))
        assert not eventually(lambda: services.running(where.var_dir), seconds=2)
        assert not where.data.exists()
    finally:
        services.stop(elsewhere.var_dir)


def test_up__as_an_ordinary_user__runs(where: Places) -> None:
    """As root the rest of this file tests root; here the whole command runs as another user."""
    if os.getuid() != 0:
        command: list[str] = []
    else:
        where.var_dir.mkdir(mode=0o700)
        os.chown(where.var_dir.parent, 65534, 65534)
        os.chown(where.var_dir, 65534, 65534)
        launch = str(ROOT / "controlplane" / "embedded" / "launch.py")
        command = [sys.executable, "-I", "-S", launch, "--user", "65534:65534", "--search", "--"]
    process = subprocess.Popen(
        [*command, sys.executable, "manage.py", "up", *SERVERS],
        cwd=ROOT,
        env=bare_environment(where),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    ready = eventually(lambda: _ready(where))
    owner = where.data.stat().st_uid if where.data.exists() else None
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=20)

    assert ready, output
    assert owner == (65534 if os.getuid() == 0 else os.getuid())
    assert process.returncode == 0
    assert mentions(str(where.var_dir)) == set()


@pytest.mark.usefixtures("initialised")
def test_upgrade__old_programs_given__moves_the_data_and_keeps_the_old(where: Places, tmp_path: Path) -> None:
    """The old major is played by our own programs behind scripts that claim to be 17 and dress the folder as 17."""
    environment = services.ensure_running(where.var_dir)
    with psycopg.connect(environment["DATABASE_OWNER_URL"]) as owner:
        owner.execute("CREATE TABLE note AS SELECT 'kept' AS text")
        owner.execute("REVOKE DELETE ON note FROM controlplane_web")
    services.stop(where.var_dir)
    (where.data / "PG_VERSION").write_text("17\n")
    old_bin, said = tmp_path / "bin", list[str]()
    old_bin.mkdir(mode=0o755)
    tmp_path.chmod(0o755)
    version = where.data / "PG_VERSION"
    _script(old_bin / "postgres", 'echo "postgres (PostgreSQL) 17.9"')
    _script(old_bin / "pg_ctl", f'echo 18 > {version}; {wheels.postgres_bin()}/pg_ctl "$@"')

    upgrade.to_our_major(where, old_bin, say=said.append)

    assert postgres.data_major(where) == "18"
    assert [path.name.split(".")[1] for path in where.var_dir.glob("postgres.*")] == ["17"]
    assert len(said) == 2
    services.ensure_running(where.var_dir)
    with psycopg.connect(where.database_url("controlplane_web")) as web:
        assert web.execute("SELECT text FROM note").fetchall() == [("kept",)]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            web.execute("DELETE FROM note")
    with psycopg.connect(where.database_url(SUPERUSER, DATABASE)) as admin:
        query = "SELECT tableowner FROM pg_tables WHERE tablename = 'note'"
        assert admin.execute(query).fetchone() == ("controlplane",)


@pytest.mark.usefixtures("initialised")
def test_upgrade__without_old_programs__says_what_to_give(where: Places, up: Up) -> None:
    (where.data / "PG_VERSION").write_text("17\n")

    code, said = _refusal(up("--upgrade"))

    assert code == ExitCode.OTHER_MAJOR
    assert said == (
        "manage.py: the data is of PostgreSQL 17: give the folder of its programs with --old-bin, "
        "such as /usr/lib/postgresql/17/bin\n"
    )


def _script(path: Path, body: str) -> None:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
