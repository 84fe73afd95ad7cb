"""Accounts for people from the command line: the first colleagues, or one of each role to try the product with."""

from __future__ import annotations

import json
import secrets
from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from controlplane.core.actors import Actor
from controlplane.core.errors import DomainError
from controlplane.core.services import create_user, grant_role


class Command(BaseCommand):
    help = "Create accounts with made-up passwords, shown once as JSON: create_people anna=analyst mo=merchandiser"

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("people", nargs="+", metavar="NAME=ROLE")

    def handle(self, *args: Any, people: list[str], **options: Any) -> None:
        actor, made = Actor.system("bootstrap"), {}
        for person in people:
            name, equals, role = person.partition("=")
            if not equals:
                raise CommandError(f"{person}: write NAME=ROLE")
            password = secrets.token_urlsafe(15)
            try:
                user = create_user(username=name, password=password, actor=actor, at=datetime.now(UTC))
                grant_role(user=user, role=role, actor=actor, at=datetime.now(UTC))
            except DomainError as refusal:
                raise CommandError(f"{person}: {refusal.detail}") from None
            made[name] = password
        self.stdout.write(json.dumps(made))
