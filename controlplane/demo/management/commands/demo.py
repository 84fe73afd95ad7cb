"""`manage.py demo`: bring everything up, take the loop once around, and leave the server running."""

import io
import json
import logging
import os
import sys
import time
from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from controlplane.demo.accounts import read_accounts
from controlplane.demo.control import ControlPlane, Refused
from controlplane.demo.data import run_on_data
from controlplane.demo.run import run_demo
from controlplane.demo.steering import Missteered, Steering, read_steering
from controlplane.demo.story import Places
from controlplane.embedded import installation, preflight
from controlplane.embedded.logs import Terminal
from controlplane.embedded.places import places
from controlplane.embedded.processes import NAMES
from controlplane.embedded.supervisor import stop_on_signals


class Command(BaseCommand):
    help = "The whole loop: SEED, EFFECT, SPLIT, SHOPPERS, DATA and ONCE in the environment steer it."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--verbose-logs", action="store_true", help="show what the processes say")

    def handle(self, *args: Any, verbose_logs: bool, **options: Any) -> None:
        try:
            steering = read_steering(os.environ)
        except Missteered as error:
            raise CommandError(str(error)) from None
        began = time.monotonic()
        where = places(os.environ["VAR_DIR"])
        terminal = Terminal(sys.stdout)
        self._say("starting database, broker, serve, web, worker and beat (the first time takes longest)")
        with installation.running(
            where,
            os.environ,
            only=NAMES,
            echo=terminal if verbose_logs else lambda _name, _line: None,
            prepared=stop_on_signals,
        ) as supervisor:
            self._say(f"everything is ready after {time.monotonic() - began:.0f} s")
            passwords = read_accounts(Path(where.var_dir) / "demo" / "accounts.json", create=_create_people)
            connections.close_all()
            addresses = _addresses(os.environ, Path(where.var_dir))
            try:
                self._run(steering, addresses, passwords)
            except (Refused, TimeoutError, PermissionError, FileNotFoundError) as error:
                raise CommandError(str(error)) from error
            self._say(f"done after {time.monotonic() - began:.0f} s")
            if steering.once:
                return
            for name, password in passwords.items():
                self._say(f"account {name:<13} password {password}")
            self._say(
                f"the control plane: {addresses.web}/ (Ctrl-C ends it; all data stays in {where.var_dir})"
            )
            supervisor.wait()

    def _run(self, steering: Steering, addresses: Places, passwords: Mapping[str, str]) -> None:
        logging.getLogger("httpx").setLevel(logging.WARNING)
        with ControlPlane(addresses.web, passwords) as control:
            if steering.data is not None:
                run_on_data(steering.data, control, import_logs=_import_logs, say=self._say)
                return
            summary = addresses.cache.parent / "summary.json"
            run_demo(control, steering, places=addresses, summary=summary, say=self._say)

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


def _addresses(environ: Mapping[str, str], var_dir: Path) -> Places:
    host = environ.get("HOST") or "127.0.0.1"
    web, serve = preflight.port_of("WEB_PORT", environ), preflight.port_of("SERVE_PORT", environ)
    return Places(f"http://{host}:{web}", f"http://{host}:{serve}", var_dir / "demo" / "cache")


def _create_people(people: list[str]) -> Mapping[str, str]:
    out = io.StringIO()
    call_command("create_people", *people, stdout=out)
    made = json.loads(out.getvalue())
    assert isinstance(made, dict)
    return made


def _import_logs(kind: str, folder: Path) -> None:
    call_command("import_logs", kind, str(folder))
