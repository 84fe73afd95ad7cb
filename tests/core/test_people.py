"""People change their own password and no other; an account is closed by somebody else."""

from datetime import UTC, datetime

import pytest
from django.test import Client

from controlplane.core import services
from controlplane.core.actors import Actor
from controlplane.core.errors import Conflict, Forbidden, InvalidInput
from controlplane.core.models import AuditEvent, User

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
BOOT = Actor.system("bootstrap")
OLD, NEW = "a long enough phrase 7", "another phrase, longer 8"
pytestmark = pytest.mark.django_db


def _person(name: str, role: str = "viewer", surface: str = "") -> User:
    user = services.create_user(username=name, password=OLD, actor=BOOT, at=NOW)
    return services.grant_role(user=user, role=role, surface=surface, actor=BOOT, at=NOW)


@pytest.mark.parametrize("surface", ["", "home-feed"])
def test_change_own_password__right_old_one__signs_in_with_the_new_one_only(surface: str) -> None:
    ada = _person("ada", "merchandiser", surface)
    services.change_own_password(user=ada, old=OLD, new=NEW, actor=Actor.of_user(ada), at=NOW)
    ada.refresh_from_db()
    assert (ada.check_password(NEW), ada.check_password(OLD)) == (True, False)
    event = AuditEvent.objects.get(operation="core.change_own_password")
    assert (event.actor_id, event.difference) == (str(ada.pk), {})


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [("wrong", NEW, "old_password"), (OLD, "short", "new_password"), (OLD, "123456789012", "new_password")],
)
def test_change_own_password__wrong_or_weak__names_the_field_and_changes_nothing(
    old: str, new: str, field: str
) -> None:
    ada = _person("ada")
    with pytest.raises(InvalidInput) as refused:
        services.change_own_password(user=ada, old=old, new=new, actor=Actor.of_user(ada), at=NOW)
    assert refused.value.errors[0].field == field
    ada.refresh_from_db()
    assert ada.check_password(OLD)


def test_change_own_password__somebody_elses__forbidden_even_for_an_admin() -> None:
    ada, grace = _person("ada"), _person("grace", "admin")
    with pytest.raises(Forbidden):
        services.change_own_password(user=ada, old=OLD, new=NEW, actor=Actor.of_user(grace), at=NOW)


def test_password_page__changed__stays_signed_in_here(client: Client) -> None:
    ada = _person("ada")
    client.force_login(ada, backend="django.contrib.auth.backends.ModelBackend")
    wrong = client.post("/password_change/", {"old_password": "no", "new_password": NEW})
    assert "Is not your password" in wrong.content.decode()
    done = client.post("/password_change/", {"old_password": OLD, "new_password": NEW})
    assert (done.status_code, done["Location"]) == (302, "/password_change/done/")
    assert client.get("/").status_code == 200
    assert AuditEvent.objects.filter(operation="core.change_own_password").count() == 1


def test_set_person_active__ended__session_is_over_at_once(client: Client) -> None:
    ada, grace = _person("ada"), _person("grace", "admin")
    client.force_login(ada, backend="django.contrib.auth.backends.ModelBackend")
    assert client.get("/").status_code == 200
    services.set_person_active(user=ada, active=False, actor=Actor.of_user(grace), at=NOW)
    assert client.get("/").status_code == 302
    with pytest.raises(Conflict, match="inactive already"):
        services.set_person_active(user=ada, active=False, actor=Actor.of_user(grace), at=NOW)
    with pytest.raises(Conflict, match="Somebody else"):
        services.set_person_active(user=grace, active=False, actor=Actor.of_user(grace), at=NOW)
    with pytest.raises(Forbidden):
        services.set_person_active(user=grace, active=False, actor=Actor.of_user(ada), at=NOW)


def test_person_page__let_in_no_more__is_the_operation(client: Client) -> None:
    ada, grace = _person("ada"), _person("grace", "admin")
    client.force_login(grace, backend="django.contrib.auth.backends.ModelBackend")
    answer = client.post(f"/core/user/{ada.pk}/change/", {"active": "0"})
    assert answer.status_code == 302
    ada.refresh_from_db()
    assert not ada.is_active
    assert AuditEvent.objects.get(operation="core.set_person_active").difference == {
        "is_active": {"from": True, "to": False}
    }
