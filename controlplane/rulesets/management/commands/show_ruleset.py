"""`manage.py show_ruleset ENVIRONMENT [--revision N]`: the document as serving systems get it, on standard output."""

from __future__ import annotations

import argparse
import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from controlplane.core.errors import DomainError
from controlplane.rulesets import selectors


class Command(BaseCommand):
    help = "Print a revision's whole document; the head's unless --revision names another."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("environment")
        parser.add_argument("--revision", type=int)

    def handle(self, *args: Any, **options: Any) -> None:
        environment, number = options["environment"], options["revision"]
        try:
            found = selectors.revision(environment, number) if number else selectors.head(environment)
        except DomainError as error:
            raise CommandError(error.detail) from error
        if found is None:
            raise CommandError(f"nothing has been published to {environment} yet")
        self.stdout.write(json.dumps(selectors.document(found), indent=2, sort_keys=True, ensure_ascii=False))
