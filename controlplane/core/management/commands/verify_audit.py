"""`manage.py verify_audit [--anchor FILE]`: is the audit trail whole?"""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from controlplane.core import sealing


class Command(BaseCommand):
    help = "Check the audit trail: chain, signatures, density, digests, unsealed age and the newest anchor."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--anchor", type=Path, default=settings.AUDIT_ANCHOR_FILE, help="the file seals are anchored in"
        )
        parser.add_argument(
            "--max-unsealed", type=int, default=300, help="seconds an event may wait for its seal"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        result = sealing.verify(at=datetime.now(UTC), anchor=options["anchor"])
        problems = list(result.problems)
        if result.oldest_unsealed and result.oldest_unsealed > timedelta(seconds=options["max_unsealed"]):
            problems.append(f"an event has waited {result.oldest_unsealed} for its seal")
        for problem in problems:
            self.stderr.write(self.style.ERROR(problem))
        if problems:
            raise CommandError(f"the audit trail is not intact: {len(problems)} problem(s)")
        self.stdout.write(
            self.style.SUCCESS(
                f"intact: {result.events} events, {result.seals} seals, {result.unsealed} not yet sealed"
            )
        )
