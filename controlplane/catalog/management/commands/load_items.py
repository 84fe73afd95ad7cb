"""Take in items from a file, as `POST /api/v1/items/bulk` does."""

from __future__ import annotations

import gzip
import sys
from argparse import ArgumentParser
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from controlplane.catalog.services import UploadReport, upsert_items
from controlplane.core.actors import Actor
from controlplane.core.errors import DomainError
from controlplane.core.models import User

SHOWN = 20


class Command(BaseCommand):
    help = "Create and update items from an NDJSON file (.gz too), as the user named by --by."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--by", required=True, help="username of whoever answers for it")

    def handle(self, *args: Any, file: Path, by: str, **options: Any) -> None:
        user = User.objects.filter(username=by).first()
        if user is None:
            raise CommandError(f"there is no user {by}")
        report = UploadReport()
        opened = gzip.open if file.suffix == ".gz" else open
        try:
            with opened(file, "rb") as lines:
                for batch in upsert_items(lines, actor=Actor.of_user(user), at=datetime.now(UTC)):
                    report.add(batch)
                    if sys.stderr.isatty():
                        self.stderr.write(f"\r{len(report.lines)} lines", ending="")
        except DomainError as refusal:
            raise CommandError(refusal.detail) from None
        except (OSError, EOFError) as error:
            raise CommandError(f"{file} cannot be read to its end: {error}") from None
        self.stdout.write(", ".join(f"{what} {count}" for what, count in report.counts.items()))
        for line in report.refused[:SHOWN]:
            assert line.error is not None  # refused lines say why
            self.stderr.write(
                f"line {line.line}: {line.error.field or 'the line'} {line.error.message}. {line.error.remedy}"
            )
        if len(report.refused) > SHOWN:
            self.stderr.write(f"and {len(report.refused) - SHOWN} more lines")
        if report.refused:
            raise CommandError(f"{len(report.refused)} of {len(report.lines)} lines were refused")
