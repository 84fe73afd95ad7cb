"""`manage.py import_logs {openbandit,movielens,cookiecats,asos} DIR`: bring published logs in."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from controlplane.core.actors import Actor
from controlplane.core.errors import DomainError
from experiments.importing import asos, cookiecats, movielens, openbandit
from experiments.importing.parts import Import

SETS = {
    "openbandit": openbandit.run,
    "movielens": movielens.run,
    "cookiecats": cookiecats.run,
    "asos": asos.run,
}


class Command(BaseCommand):
    help = "Bring a published data set in, as its publisher lays it out. Repeating it changes nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("set", choices=sorted(SETS))
        parser.add_argument("directory", type=Path)
        parser.add_argument("--environment", default="production")
        parser.add_argument("--owner", default="importer", help="owner of the records that are made")

    def handle(self, *args: Any, **options: Any) -> None:
        job = Import(
            environment=options["environment"],
            actor=Actor.system("importer"),
            at=datetime.now(UTC),
            owner=options["owner"],
        )
        try:
            SETS[options["set"]](options["directory"], job)
        except DomainError as error:
            raise CommandError(
                f"{error.detail}{''.join(f' {each.field}: {each.message}' for each in error.errors)}"
            ) from error
        finally:
            for line in job.said:
                self.stdout.write(line)
