"""What every test stands on: real PostgreSQL and Valkey, a database of its own, no way out of this machine.

Without DATABASE_URL the embedded services are started under `var/test` (or VAR_DIR) and stay up, so that the next run
starts at once. Settings are read once, so all of this happens while this module is imported; workers of a parallel
run inherit the addresses and have a database, broker numbers, lake, keys and state of their own.
"""

import ipaddress
import os
import secrets
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).resolve().parent.parent
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "main")


def _start_services(var_dir: Path) -> None:
    """Point the environment at embedded servers, as the superuser: only an owner may create test databases."""
    # Imported only when no server is named: then the wheels need not be there.
    from controlplane.embedded import services  # noqa: PLC0415
    from controlplane.embedded.places import SUPERUSER, places  # noqa: PLC0415

    addresses = services.ensure_running(var_dir)
    os.environ["DATABASE_URL"] = places(var_dir).database_url(SUPERUSER)
    os.environ.setdefault("BROKER_URL", addresses["BROKER_URL"])


def _own_broker(url: str) -> str:
    """The broker's database number that belongs to this worker: 1 for the main process, 2 and up for the others."""
    if not url.startswith("redis"):
        return url
    number = 1 if WORKER == "main" else 2 + int(WORKER.removeprefix("gw"))
    if url.startswith("redis+socket"):
        return f"{url.partition('?')[0]}?virtual_host={number}"
    return urlsplit(url)._replace(path=f"/{number}").geturl()


def _prepare_environment() -> None:
    var_dir = Path(os.environ.setdefault("VAR_DIR", str(ROOT / "var" / "test")))
    if not os.environ.get("DATABASE_URL"):
        _start_services(var_dir)
    if os.environ.get("BROKER_URL"):
        os.environ["BROKER_URL"] = _own_broker(os.environ["BROKER_URL"])
    own = var_dir / "workers" / WORKER
    shutil.rmtree(own, ignore_errors=True)
    own.mkdir(parents=True)
    (var_dir / "static").mkdir(exist_ok=True)
    os.environ["LAKE_URL"] = f"file://{own / 'lake'}"
    os.environ["KEYS_DIR"] = str(own / "keys")
    os.environ["STATE_DIR"] = str(own / "state")
    os.environ["AUDIT_ANCHOR_FILE"] = str(own / "anchors" / "audit.jsonl")
    os.environ.setdefault("SECRET_KEY", secrets.token_urlsafe(48))
    os.environ.setdefault("DEBUG", "0")
    os.environ.setdefault("LOG_LEVEL", "WARNING")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlplane.settings")
    # Playwright's synchronous driver keeps an event loop in the test's thread; Django's guard takes it for async code.
    os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "1")


_prepare_environment()

import django  # noqa: E402 - the environment above is what settings read
from django.conf import settings  # noqa: E402
from django.core.management.commands import flush as flush_command  # noqa: E402
from django.db import connection  # noqa: E402

django.setup()  # conftests further down import models


class OutsideConnection(RuntimeError):
    """A test tried to reach another machine."""


def _allowed(address: Any) -> bool:
    if not isinstance(address, tuple):
        return True  # a Unix socket's path
    host = str(address[0])
    if host in {"localhost", ""}:
        return True
    try:
        return ipaddress.ip_address(host.split("%", maxsplit=1)[0]).is_loopback
    except ValueError:
        return False


@pytest.fixture(autouse=True, scope="session")
def _only_loopback() -> Iterator[None]:
    """Refuse every connection but those to loopback addresses and Unix sockets."""
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

    def guarded(self: socket.socket, address: Any) -> None:
        if not _allowed(address):
            raise OutsideConnection(f"tests stay on this machine; this one connects to {address!r}")
        connect(self, address)

    def guarded_ex(self: socket.socket, address: Any) -> int:
        if not _allowed(address):
            raise OutsideConnection(f"tests stay on this machine; this one connects to {address!r}")
        return connect_ex(self, address)

    patch = pytest.MonkeyPatch()
    patch.setattr(socket.socket, "connect", guarded)
    patch.setattr(socket.socket, "connect_ex", guarded_ex)
    yield
    patch.undo()


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """Name the test database, and empty append-only tables the only way the database lets anyone.

    Triggers refuse UPDATE, DELETE and TRUNCATE on audit rows, so a flush between transactional tests would fail.
    A superuser in replica mode fires no triggers; the product has no such role and no such code. Deleting the few rows
    of a test is also some ten times faster than truncating every table.
    """

    def flush(_style: Any, tables: list[str], **_: Any) -> list[str]:
        emptied = [f"DELETE FROM {connection.ops.quote_name(table)}" for table in tables]
        whole = ["SET session_replication_role = replica", *emptied, "SET session_replication_role = origin"]
        return ["; ".join(whole)]  # one round trip

    setattr(connection.ops, "sql_flush", flush)  # noqa: B010 - of the test connection only
    # Django makes its content types and permissions anew after each flush, nine tenths of its time. Nothing here uses them.
    setattr(flush_command, "emit_post_migrate_signal", lambda *_: None)  # noqa: B010


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None) -> None:
    """The test database, and every address of it: settings for this process, the environment for its children."""
    url = (
        urlsplit(os.environ["DATABASE_URL"])
        ._replace(path="/" + settings.DATABASES["default"]["NAME"])
        .geturl()
    )
    for name in ("DATABASE_URL", "DATABASE_OWNER_URL", "DATABASE_DIRECT_URL"):
        setattr(settings, name, url)
        os.environ[name] = url


@pytest.fixture(scope="session")
def var_dir() -> Path:
    """This worker's own folder: lake, keys and state live below it."""
    return Path(os.environ["STATE_DIR"]).parent


@pytest.fixture
def lake_url(tmp_path: Path) -> str:
    """Address of a lake that does not exist yet."""
    return f"file://{tmp_path / 'lake'}"


@pytest.fixture
def own_lake(lake_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A lake of the test's own that settings, and so children, name."""
    monkeypatch.setattr(settings, "LAKE_URL", lake_url)
    monkeypatch.setitem(os.environ, "LAKE_URL", lake_url)
    return lake_url
