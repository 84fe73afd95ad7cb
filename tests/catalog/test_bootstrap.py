"""Bootstrap gives a new installation what nobody can start without."""

import io
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from controlplane.catalog.models import Environment
from controlplane.core.actors import Actor
from controlplane.core.models import AuditEvent, User

pytestmark = pytest.mark.django_db


def bootstrap(*arguments: str) -> str:
    told = io.StringIO()
    call_command("bootstrap", *arguments, stdout=told)
    return told.getvalue()


def test_bootstrap__empty_database__makes_two_environments_and_an_admin(
    settings: Settings, tmp_path: Path
) -> None:
    settings.VAR_DIR, settings.ADMIN_PASSWORD = tmp_path, ""

    told = bootstrap()

    assert list(Environment.objects.values_list("key", "kind", "protected")) == [
        ("production", "production", True),
        ("staging", "staging", False),
    ]
    kept = tmp_path / "admin-password"
    password = kept.read_text().strip()
    admin = User.objects.get()
    assert (admin.username, admin.is_staff, admin.is_superuser) == ("admin", True, False)
    assert admin.check_password(password)
    assert f"password: {password}" in told
    assert kept.stat().st_mode & 0o777 == 0o600
    assert Actor.of_user(admin).may("rulesets.publish")
    assert set(AuditEvent.objects.values_list("operation", "actor_kind", "actor_id")) == {
        ("catalog.create_environment", "system", "bootstrap"),
        ("core.create_user", "system", "bootstrap"),
        ("core.grant_role", "system", "bootstrap"),
    }


def test_bootstrap__password_from_the_environment__is_used_and_not_written(
    settings: Settings, tmp_path: Path
) -> None:
    settings.VAR_DIR, settings.ADMIN_PASSWORD = tmp_path, "correct horse battery"

    told = bootstrap()

    assert User.objects.get().check_password("correct horse battery")
    assert "correct horse" not in told
    assert list(tmp_path.iterdir()) == []


def test_bootstrap__twice__changes_nothing_the_second_time(settings: Settings, tmp_path: Path) -> None:
    settings.VAR_DIR, settings.ADMIN_PASSWORD = tmp_path, ""
    bootstrap()
    before = AuditEvent.objects.count(), (tmp_path / "admin-password").read_text()

    assert bootstrap() == ""
    assert (AuditEvent.objects.count(), (tmp_path / "admin-password").read_text()) == before


def test_bootstrap__password_too_weak__says_so_and_makes_nothing(settings: Settings, tmp_path: Path) -> None:
    settings.VAR_DIR, settings.ADMIN_PASSWORD = tmp_path, "short"

    with pytest.raises(CommandError, match="password is too weak"):
        bootstrap()

    assert (Environment.objects.count(), User.objects.count(), AuditEvent.objects.count()) == (0, 0, 0)


def test_bootstrap__without_admin__makes_environments_only() -> None:
    bootstrap("--no-admin")

    assert (Environment.objects.count(), User.objects.count()) == (2, 0)
