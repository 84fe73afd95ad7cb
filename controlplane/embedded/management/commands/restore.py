"""`manage.py restore`: an installation from a backup."""

import argparse
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command, get_commands
from django.core.management.base import BaseCommand

from controlplane.embedded import services
from controlplane.embedded.parts import Parts
from controlplane.embedded.places import places
from controlplane.embedded.restore import restore


class Command(BaseCommand):
    help = "Load a backup into an empty VAR_DIR (or an empty database of your own), after verifying every digest."
    requires_system_checks = ()

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("source", type=Path, help="file that manage.py backup wrote")
        parser.add_argument("--force", action="store_true", help="move aside what is there")

    def handle(self, *args: Any, **options: Any) -> None:
        where, at = places(os.environ["VAR_DIR"]), datetime.now(UTC)
        parts = Parts.of(settings)
        source = options["source"].absolute()
        was_running = services.running(where.var_dir)
        try:
            restore(where, parts, source, force=options["force"], at=at, say=self.stdout.write)
            if "verify_audit" in get_commands():
                # What waited for its seal when the backup was made may wait on: up seals it.
                call_command("verify_audit", max_unsealed=10**9, stdout=self.stdout)
        finally:
            if not was_running:
                services.stop(where.var_dir)
        self.stdout.write(f"restored into {where.var_dir}; start it with: python manage.py up")
