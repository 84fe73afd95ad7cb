"""The ground tests stand on: no way out of this machine, real servers, append-only tables that only the bed may empty."""

import socket
from datetime import UTC, datetime

import pytest
import redis
from django.conf import settings
from django.db import DatabaseError, connection, transaction

from controlplane.core.models import SecurityEvent


@pytest.mark.parametrize("address", [("192.0.2.1", 80), ("example.com", 443), ("2001:db8::1", 80, 0, 0)])
def test_connection__to_another_machine__is_refused(address: tuple[str, int]) -> None:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family) as outgoing, pytest.raises(RuntimeError, match="tests stay on this machine"):
        outgoing.connect(address)


def test_connection__to_loopback__is_allowed() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
    ):
        assert client.getpeername() == server.getsockname()


@pytest.mark.django_db
def test_database__tests__use_a_real_server_and_a_database_of_their_own() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_database(), current_setting('server_version_num')::int")
        name, version = cursor.fetchone()

    assert name.startswith("test_")
    assert version >= 150_000
    assert settings.DATABASE_DIRECT_URL.partition("?")[0].endswith(f"/{name}")


def test_broker__tests__have_a_number_of_their_own() -> None:
    url = settings.BROKER_URL.replace("redis+socket://", "unix://").replace("virtual_host=", "db=")
    with redis.Redis.from_url(url) as broker:
        assert broker.ping() is True
        assert broker.connection_pool.connection_kwargs["db"] >= 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("round_", [1, 2])
def test_append_only_rows__between_tests__are_emptied_by_the_bed(round_: int) -> None:
    assert SecurityEvent.objects.count() == 0

    SecurityEvent.objects.create(kind="refused", at=datetime.now(UTC))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "statement",
    [
        "TRUNCATE core_securityevent",
        "DELETE FROM core_securityevent",
        "UPDATE core_securityevent SET kind = 'x'",
    ],
)
def test_append_only_rows__without_the_bed__cannot_be_changed_even_by_the_superuser(statement: str) -> None:
    SecurityEvent.objects.create(kind="refused", at=datetime.now(UTC))

    with (
        pytest.raises(DatabaseError, match="never changed or removed"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)
