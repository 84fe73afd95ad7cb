"""`manage.py up`: run the whole installation until Ctrl-C."""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from controlplane.embedded import installation, preflight, upgrade
from controlplane.embedded.logs import Terminal
from controlplane.embedded.places import places
from controlplane.embedded.processes import NAMES, PROCESSES
from controlplane.embedded.supervisor import stop_on_signals


class Command(BaseCommand):
    help = "Run database, broker, serve, web, worker and beat under one supervisor, until Ctrl-C or TERM."
    requires_system_checks = ()

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--only", metavar="NAME,…", default=",".join(NAMES), help=f"of {', '.join(NAMES)}"
        )
        parser.add_argument(
            "--upgrade", action="store_true", help="move var/ from another PostgreSQL major first"
        )
        parser.add_argument(
            "--old-bin", type=Path, metavar="DIR", help="programs of the PostgreSQL that made var/"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        where, only = places(os.environ["VAR_DIR"]), options["only"].split(",")
        if options["upgrade"]:
            with preflight.only_copy(where):
                upgrade.to_our_major(where, options["old_bin"], say=self._say)
        if sys.stdout.isatty():
            os.environ.setdefault("LOG_FORMAT", "console")
        with installation.running(
            where, os.environ, only=only, echo=Terminal(sys.stdout), prepared=stop_on_signals
        ) as supervisor:
            for process in PROCESSES:
                if process.port and process.name in only:
                    host = os.environ.get("HOST", "127.0.0.1")
                    self._say(f"{process.name}: http://{host}:{preflight.port_of(process.port, os.environ)}/")
            supervisor.wait()

    def _say(self, line: str) -> None:
        Terminal(sys.stdout)("up", line)
