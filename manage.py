#!/usr/bin/env python
"""Every command of an installation: `manage.py up` runs it, `manage.py help` lists the others."""

import os
import sys
from pathlib import Path

from django.core.management import execute_from_command_line

from controlplane.embedded import runtime_env
from controlplane.embedded.places import places
from controlplane.embedded.refusals import Refusal

FIRST_COMMANDS = ("up", "demo", "restore")  # they may be the first thing run on an empty folder
OWNER_COMMANDS = ("migrate",)


def run_up(arguments: list[str]) -> None:
    """`manage.py up` without loading the product: its processes do, the supervisor stays small and starts at once."""
    from controlplane.embedded.management.commands import up  # noqa: PLC0415 - no other command needs what it loads

    command = up.Command()
    options = vars(command.create_parser(arguments[0], arguments[1]).parse_args(arguments[2:]))
    command.execute(*options.pop("args", ()), **options)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlplane.settings")
    var_dir = places(os.environ.get("VAR_DIR") or Path(__file__).resolve().parent / "var")
    try:
        if sys.argv[1:2] and sys.argv[1] in FIRST_COMMANDS:
            runtime_env.ensure(var_dir)
        if sys.argv[1:2] and sys.argv[1] in OWNER_COMMANDS:
            os.environ.setdefault("DATABASE_ROLE", "owner")
        runtime_env.load(var_dir, os.environ)
        if sys.argv[1:2] == ["up"]:
            run_up(sys.argv)
        else:
            execute_from_command_line(sys.argv)
    except Refusal as refusal:
        sys.stderr.write(f"manage.py: {refusal.message}\n")
        sys.exit(refusal.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
