"""Database and broker without a supervisor."""

import getpass
from pathlib import Path

import psycopg
import pytest

from controlplane.embedded import external, postgres, runtime_env, services
from controlplane.embedded.places import Places, places
from controlplane.embedded.refusals import ExitCode, Refusal


def test_ensure_running__empty_folder__serves_roles_with_their_rights(where: Places) -> None:
    environment = services.ensure_running(where.var_dir)

    with psycopg.connect(environment["DATABASE_OWNER_URL"]) as owner:
        owner.execute("CREATE TABLE note (id bigserial PRIMARY KEY, text text)")
    with psycopg.connect(environment["DATABASE_URL"], autocommit=True) as web:
        web.execute("INSERT INTO note (text) VALUES ('one')")
        web.execute("UPDATE note SET text = 'two'")
        assert web.execute("SELECT id, text FROM note").fetchall() == [(1, "two")]
        for forbidden in (
            "CREATE TABLE mine (id int)",
            "TRUNCATE note",
            "DROP TABLE note",
            "CREATE ROLE other",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                web.execute(forbidden)
        kept = {name: web.execute(f"SHOW {name}").fetchone() for name, _ in postgres.SETTINGS}
    assert kept == {name: (value,) for name, value in postgres.SETTINGS}
    external.check_broker(environment["BROKER_URL"])


@pytest.mark.usefixtures("initialised")
def test_ensure_running__called_again__attaches_to_what_runs(where: Places) -> None:
    first = services.ensure_running(where.var_dir)
    pid = (where.data / "postmaster.pid").read_text().split()[0]

    assert services.ensure_running(where.var_dir) == first
    assert (where.data / "postmaster.pid").read_text().split()[0] == pid


@pytest.mark.usefixtures("initialised")
def test_ensure_running__after_stop__keeps_data_and_secret(where: Places) -> None:
    first = services.ensure_running(where.var_dir)
    with psycopg.connect(first["DATABASE_OWNER_URL"]) as owner:
        owner.execute("CREATE TABLE note AS SELECT 'kept' AS text")

    services.stop(where.var_dir)
    assert not services.running(where.var_dir)
    second = services.ensure_running(where.var_dir)

    assert second == first
    with psycopg.connect(second["DATABASE_URL"]) as web:
        assert web.execute("SELECT text FROM note").fetchall() == [("kept",)]


def test_ensure_running__long_path__puts_sockets_in_a_short_private_folder(where: Places) -> None:
    deep = places(where.var_dir / ("d" * 60) / ("e" * 60))

    environment = services.ensure_running(deep.var_dir)
    try:
        assert deep.run.parent == Path("/tmp")
        assert deep.run.stat().st_mode & 0o777 == 0o700
        with psycopg.connect(environment["DATABASE_URL"]) as web:
            assert web.execute("SELECT current_user").fetchone() == ("controlplane_web",)
    finally:
        services.stop(deep.var_dir)
        deep.run.rmdir()


@pytest.mark.usefixtures("initialised")
def test_access__any_role__only_for_the_user_who_runs_the_installation(where: Places) -> None:
    postgres.prepare(where)

    assert (where.data / "pg_hba.conf").read_text() == "local all all peer map=operator\n"
    assert (where.data / "pg_ident.conf").read_text() == f'operator "{getpass.getuser()}" all\n'


@pytest.mark.usefixtures("initialised")
def test_test_database__made_from_template__gives_the_web_role_its_rights(where: Places) -> None:
    environment = services.ensure_running(where.var_dir)
    with psycopg.connect(environment["DATABASE_ADMIN_URL"], autocommit=True) as admin:
        admin.execute("CREATE DATABASE test_other")
    with psycopg.connect(where.database_url("controlplane", "test_other")) as owner:
        owner.execute("CREATE TABLE note (id bigserial PRIMARY KEY)")

    with psycopg.connect(where.database_url("controlplane_web", "test_other")) as web:
        web.execute("INSERT INTO note DEFAULT VALUES")
        assert web.execute("SELECT count(*) FROM note").fetchone() == (1,)


@pytest.mark.usefixtures("initialised")
def test_prepare__data_of_another_major__names_the_command(where: Places) -> None:
    postgres.prepare(where)
    (where.data / "PG_VERSION").write_text("17\n")

    with pytest.raises(
        Refusal, match=r"made by PostgreSQL 17, these programs are 18; .*--upgrade --old-bin"
    ) as refused:
        postgres.prepare(where)
    assert refused.value.exit_code == ExitCode.OTHER_MAJOR


def test_runtime_env__written__is_private_and_keeps_its_secret(where: Places) -> None:
    first = runtime_env.ensure(where)

    assert where.runtime_env.stat().st_mode & 0o777 == 0o600
    assert len(first["SECRET_KEY"]) >= 50
    assert runtime_env.ensure(where) == first
    assert runtime_env.read(where.runtime_env) == first


def test_runtime_env__load__never_replaces_what_is_set(where: Places) -> None:
    runtime_env.ensure(where)
    environ = {"SECRET_KEY": "mine"}

    runtime_env.load(where, environ)

    assert environ == {"SECRET_KEY": "mine", "VAR_DIR": str(where.var_dir), **where.addresses()}


def test_runtime_env__load_with_a_foreign_database__takes_no_database_variable_of_ours(where: Places) -> None:
    runtime_env.ensure(where)
    environ = {"DATABASE_URL": "postgresql://db.example/cp", "SECRET_KEY": "mine"}

    runtime_env.load(where, environ)

    assert environ == {
        "DATABASE_URL": "postgresql://db.example/cp",
        "SECRET_KEY": "mine",
        "VAR_DIR": str(where.var_dir),
        "BROKER_URL": where.addresses()["BROKER_URL"],
    }
