"""The embedded Valkey: the broker. What it holds may be lost at any time, so it writes nothing to disk."""

import time
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from controlplane.embedded import wheels
from controlplane.embedded.account import Account, account
from controlplane.embedded.places import Places

# docker/compose.yaml gives its server the same.
SETTINGS = (("save", ""), ("appendonly", "no"), ("maxmemory-policy", "noeviction"))
START_SECONDS = 20.0
STOP_SECONDS = 5.0


def setting_arguments() -> list[str]:
    """SETTINGS as `--name value` arguments."""
    return [part for name, value in SETTINGS for part in (f"--{name}", value)]


def prepare(where: Places) -> Account:
    """Everything before the server process: its working directory and the socket directory."""
    user = account(where.data)
    user.own(where.valkey)
    user.own(where.run)
    return user


def server_command(where: Places) -> list[str]:
    """The server's own command line."""
    return [
        str(wheels.valkey_server()),
        *("--port", "0"),
        *("--unixsocket", str(where.valkey_socket)),
        *("--unixsocketperm", "700"),
        *("--dir", str(where.valkey)),
        *("--daemonize", "no"),
        *setting_arguments(),
    ]


def touches(where: Places) -> tuple[Path, ...]:
    """Paths the server's user must be able to walk to."""
    return (where.valkey, where.run, wheels.valkey_server())


def _connect(where: Places) -> redis.Redis:
    at_once = Retry(NoBackoff(), 0)
    return redis.Redis(unix_socket_path=str(where.valkey_socket), socket_timeout=5, retry=at_once)


def is_up(where: Places) -> bool:
    """Does the server answer?"""
    try:
        with _connect(where) as connection:
            return bool(connection.ping())
    except (redis.ConnectionError, redis.TimeoutError):
        return False


def stop(where: Places) -> None:
    """Stop a server that runs detached."""
    try:
        with _connect(where) as connection:
            connection.shutdown(nosave=True)
    except redis.ConnectionError:
        return
    deadline = time.monotonic() + STOP_SECONDS
    while is_up(where) and time.monotonic() < deadline:
        time.sleep(0.02)


def wait_until_up(where: Places, *, seconds: float = START_SECONDS) -> bool:
    """Wait for the server to answer; False when the time is over."""
    deadline = time.monotonic() + seconds
    while not is_up(where):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
