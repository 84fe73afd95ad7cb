"""A world to act in and people of every role to act in it."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from django.test import Client
from django.utils import timezone

from controlplane.core import tokens
from controlplane.core.models import ApiToken, RoleGrant, User
from tests.contract.worlds import World

Persona = Callable[..., Client]
PASSWORD_FREE = "django.contrib.auth.backends.ModelBackend"


def make_person(role: str | None, *, surface: str = "") -> Client:
    """A browser signed in as somebody who holds `role` (nobody for None), on one surface or everywhere."""
    name = f"{role or 'nobody'}{'-on-' + surface if surface else ''}"
    user, made = User.objects.get_or_create(
        username=name, defaults={"is_staff": True, "date_joined": timezone.now()}
    )
    if made:
        user.set_unusable_password()
        user.save()
        if role:
            RoleGrant.objects.create(user=user, role=role, surface=surface)
    client = Client(raise_request_exception=False)
    client.force_login(user, backend=PASSWORD_FREE)
    return client


def make_program(*, scopes: list[str], roles: list[str], environment: str = "") -> Client:
    """A program that sends a token with these scopes and roles."""
    text, prefix, secret_hash = tokens.mint()
    ApiToken.objects.create(
        key=f"program-{prefix}", name="A program", prefix=prefix, secret_hash=secret_hash, scopes=scopes, roles=roles,
        environment=environment, created_at=timezone.now(), created_by="tests",
    )  # fmt: skip
    return Client(raise_request_exception=False, headers={"Authorization": f"Bearer {text}"})


@pytest.fixture
def program(transactional_db: None) -> Persona:
    return make_program


@pytest.fixture
def person(transactional_db: None) -> Persona:
    return make_person


@pytest.fixture
def world(transactional_db: None) -> World:
    return World(at=datetime.now(UTC))
