"""Servers of the operator's own: DATABASE_URL and BROKER_URL that name no embedded one."""

from typing import Any

import psycopg
import redis
from kombu import connection as kombu_connection
from kombu.exceptions import KombuError
from redis.backoff import NoBackoff
from redis.retry import Retry

from controlplane.embedded.refusals import ExitCode, Refusal

LEAST_POSTGRES = 150_000
LEAST_REDIS = 7
SECONDS = 5


def check_database(variable: str, url: str) -> None:
    """The server answers and is PostgreSQL 15 or newer."""
    try:
        with psycopg.connect(url, connect_timeout=SECONDS) as connection:
            version = connection.info.server_version
    except psycopg.Error as error:
        raise _unsuitable(variable, f"does not answer: {_first_line(error)}") from None
    if version < LEAST_POSTGRES:
        raise _unsuitable(variable, f"is PostgreSQL {version // 10_000}; 15 or newer is needed")


def check_broker(url: str) -> None:
    """The server answers, and is Redis 7 or Valkey when it is of that kind."""
    if url.startswith(("redis://", "rediss://")):
        _check_redis(url)
        return
    open_broker: Any = kombu_connection.Connection  # kombu declares no types
    connection = open_broker(url, connect_timeout=SECONDS)
    try:
        connection.connect()
        connection.release()
    except (OSError, KombuError, *connection.connection_errors) as error:
        raise _unsuitable("BROKER_URL", f"does not answer: {_first_line(error)}") from None


def _check_redis(url: str) -> None:
    try:
        with redis.Redis.from_url(url, socket_timeout=SECONDS, retry=Retry(NoBackoff(), 0)) as connection:
            version = str(connection.info("server")["redis_version"])
    except (redis.RedisError, ValueError) as error:
        raise _unsuitable("BROKER_URL", f"does not answer: {_first_line(error)}") from None
    if int(version.partition(".")[0]) < LEAST_REDIS:
        raise _unsuitable("BROKER_URL", f"is Redis {version}; 7 or newer, or Valkey, is needed")


def _unsuitable(variable: str, what: str) -> Refusal:
    return Refusal(ExitCode.SERVER_UNSUITABLE, f"the server {variable} names {what}")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
