"""Erase one user's events everywhere, now."""

from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from controlplane.core.actors import Actor
from controlplane.core.errors import DomainError
from controlplane.core.models import User
from controlplane.events import services
from controlplane.events.models import Erasure


class Command(BaseCommand):
    help = "Erase a user's events from buffer, quarantine and lake, on the record, as the user named by --by."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("environment")
        parser.add_argument("user_id", help="as events carry it in unit_ids.user")
        parser.add_argument("--reason", required=True)
        parser.add_argument("--by", required=True, help="username of whoever answers for it")

    def handle(
        self, *args: Any, environment: str, user_id: str, reason: str, by: str, **options: Any
    ) -> None:
        user = User.objects.filter(username=by).first()
        if user is None:
            raise CommandError(f"there is no user {by}")
        try:
            erasure = services.request_erasure(
                environment=environment,
                user_id=user_id,
                reason=reason,
                actor=Actor.of_user(user),
                at=datetime.now(UTC),
            )
        except DomainError as refusal:
            raise CommandError(refusal.detail) from None
        call_command("lake_work", "erase", stdout=self.stdout, stderr=self.stderr)
        erasure.refresh_from_db()
        if erasure.status != Erasure.Status.DONE:
            raise CommandError(f"not done: {erasure.last_error}; the sweep tries again")
