"""`manage.py backup`: one file with everything."""

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from controlplane.embedded.backup import back_up
from controlplane.embedded.parts import Parts


class Command(BaseCommand):
    help = "Write database, lake, keys, anchors and state as one consistent set. The file holds secrets: keep it so."
    requires_system_checks = ()

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("target", type=Path, help="file to write, or a folder to write one in")

    def handle(self, *args: Any, **options: Any) -> None:
        target, manifest = back_up(Parts.of(settings), options["target"].absolute(), at=datetime.now(UTC))
        size = target.stat().st_size / 2**20
        self.stdout.write(f"{target}: {len(manifest.members)} files, {size:.1f} MB, as of {manifest.at}")
        for environment, revision in manifest.heads.items():
            self.stdout.write(f"head of {environment}: revision {revision}")
