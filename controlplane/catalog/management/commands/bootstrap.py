"""Give a new installation what nobody can start without: two environments and one administrator."""

from __future__ import annotations

import os
import secrets
from argparse import ArgumentParser
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection, transaction

from controlplane.catalog.models import Environment
from controlplane.catalog.services import create_environment
from controlplane.core.actors import Actor
from controlplane.core.errors import DomainError
from controlplane.core.models import User
from controlplane.core.services import create_user, grant_role

ENVIRONMENTS = (
    {"key": "production", "name": "Production", "kind": "production", "colour": "#b91c1c", "protected": True},
    {"key": "staging", "name": "Staging", "kind": "staging", "colour": "#0f766e", "protected": False},
)
ADMIN = "admin"


class Command(BaseCommand):
    help = "Create the environments production and staging, and an administrator where there is no user. Safe to repeat."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--no-admin", action="store_true", help="do not create an administrator")

    def handle(self, *args: Any, no_admin: bool, **options: Any) -> None:
        actor, at = Actor.system("bootstrap"), datetime.now(UTC)
        try:
            with transaction.atomic():
                with connection.cursor() as cursor:  # two bootstraps at once make one set
                    cursor.execute("SELECT pg_advisory_xact_lock(hashtext('catalog.bootstrap'))")
                self._environments(actor, at)
                password = "" if no_admin else self._admin(actor, at)
        except DomainError as refusal:
            why = "; ".join(f"{error.field}: {error.message}" for error in refusal.errors)
            raise CommandError(f"{refusal.detail} {why}".strip()) from None
        if password:
            self._tell(password)

    def _environments(self, actor: Actor, at: datetime) -> None:
        there = set(Environment.objects.values_list("key", flat=True))
        for wanted in ENVIRONMENTS:
            if wanted["key"] not in there:
                create_environment(**wanted, actor=actor, at=at)  # type: ignore[arg-type]  # a row of constants
                self.stdout.write(f"environment {wanted['key']} created")

    def _admin(self, actor: Actor, at: datetime) -> str:
        """The new administrator's password; empty when there are users already."""
        if User.objects.exists():
            return ""
        password = settings.ADMIN_PASSWORD or secrets.token_urlsafe(18)
        user = create_user(username=ADMIN, password=password, actor=actor, at=at)
        grant_role(user=user, role="admin", actor=actor, at=at)
        return password

    def _tell(self, password: str) -> None:
        if settings.ADMIN_PASSWORD:
            self.stdout.write(f"account {ADMIN} created, with the password from ADMIN_PASSWORD")
            return
        path = Path(settings.VAR_DIR) / "admin-password"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(password + "\n")
        self.stdout.write(
            f"account {ADMIN} created, password: {password}\n(kept in {path}, readable by you alone)"
        )
