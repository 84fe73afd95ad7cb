"""Accounts for people from the command line: the first colleagues, or one of each role to try the product with."""

from __future__ import annotations

import json
import secrets
from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from controlplane.core.actors import Actor
from controlplane.core.errors import DomainError
from controlplane.core.services import create_user, grant_role


class Command(BaseCommand):
    help = "Create accounts with made-up passwords, shown once as JSON: create_people anna=analyst mo=merchandiser"

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("people", nargs="+", metavar="NAME=ROLE")

    def handle(self, *args: Any, people: list[str], **options: Any) -> None:
        made: dict[str, str] = {}
        with transaction.atomic():  # all of them or none
            for person in people:
                name, equals, role = person.partition("=")
                if not equals:
                    raise CommandError(f"{person}: write NAME=ROLE")
                made[name] = self._create(name, role)
        self.stdout.write(json.dumps(made))

    def _create(self, name: str, role: str) -> str:
        """The new account's password."""
        actor, at, password = Actor.system("bootstrap"), datetime.now(UTC), secrets.token_urlsafe(15)
        try:
            user = create_user(username=name, password=password, actor=actor, at=at)
            grant_role(user=user, role=role, actor=actor, at=at)
        except DomainError as refusal:
            raise CommandError(f"{name}={role}: {refusal.detail}") from None
        return password
