"""The trail as people read it."""

from datetime import UTC, datetime

import pytest
from pytest_django import DjangoAssertNumQueries

from controlplane.core import services
from controlplane.core.actors import Actor
from controlplane.core.operations import subject_of
from controlplane.core.selectors import actor_names, history_of

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
PASSWORD = "a long enough phrase 7"
pytestmark = pytest.mark.django_db


def test_history_of__newest_first__with_the_actors_present_names(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    boot = Actor.system("bootstrap")
    ada = services.create_user(username="ada", password=PASSWORD, actor=boot, at=NOW)
    services.grant_role(user=ada, role="admin", actor=boot, at=NOW)
    grace = services.create_user(username="grace", password=PASSWORD, actor=Actor.of_user(ada), at=NOW)
    services.grant_role(user=grace, role="viewer", actor=Actor.of_user(ada), at=NOW)
    services.grant_role(user=grace, role="analyst", actor=boot, at=NOW)

    with django_assert_num_queries(2):  # no token is among them
        happened = history_of(subject_of(grace))

    assert [(one.event.operation, one.actor_name) for one in happened] == [
        ("core.grant_role", "system bootstrap"),
        ("core.grant_role", "ada"),
        ("core.create_user", "ada"),
    ]


def test_actor_names__nobody_bears_the_id__shows_the_id() -> None:
    assert actor_names([("user", "999"), ("token", "deadbeef")]) == {
        ("user", "999"): "user 999",
        ("token", "deadbeef"): "token deadbeef",
    }
