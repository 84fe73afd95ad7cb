"""`manage.py publish [ENVIRONMENT ...]`: compile and publish now."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from controlplane.core.errors import DomainError
from controlplane.rulesets import selectors, services


class Command(BaseCommand):
    help = "Compile the live records of the environments named (default: all) and publish what changed."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("environments", nargs="*", metavar="ENVIRONMENT")
        parser.add_argument("--cause", default="manage.py publish")

    def handle(self, *args: Any, **options: Any) -> None:
        for environment in options["environments"] or selectors.environments():
            try:
                published = services.publish(environment, cause=options["cause"], at=datetime.now(UTC))
            except DomainError as error:
                raise CommandError(error.detail) from error
            news = "published" if published.changed else "unchanged"
            self.stdout.write(f"{environment}: revision {published.revision} ({news})")
