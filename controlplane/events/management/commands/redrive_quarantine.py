"""Judge quarantined records again after a fix, and take in those that are events now."""

from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from controlplane.catalog.selectors import surface_keys
from controlplane.core.actors import Actor
from controlplane.core.errors import DomainError
from controlplane.core.models import User
from controlplane.events import services


class Command(BaseCommand):
    help = "Re-drive an environment's quarantined records, those of one --code or all, as the user named by --by."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("environment")
        parser.add_argument("--code", default="", help="only records refused with this code")
        parser.add_argument("--accept-late", action="store_true", help="take in records whatever their age")
        parser.add_argument("--by", required=True, help="username of whoever answers for it")

    def handle(
        self, *args: Any, environment: str, code: str, accept_late: bool, by: str, **options: Any
    ) -> None:
        user = User.objects.filter(username=by).first()
        if user is None:
            raise CommandError(f"there is no user {by}")
        try:
            report = services.redrive(
                environment=environment,
                surfaces=surface_keys(environment),
                actor=Actor.of_user(user),
                at=datetime.now(UTC),
                code=code,
                accept_late=accept_late,
            )
        except DomainError as refusal:
            raise CommandError(refusal.detail) from None
        self.stdout.write(
            ", ".join(f"{what} {count}" for what, count in sorted(report.counts.items())) or "none waited"
        )
