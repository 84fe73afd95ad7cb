"""How lake work reaches the database: one direct connection, past any pooler, because it holds a session lock."""

import os
import subprocess
import sys
from collections.abc import Mapping

from django.conf import settings
from django.db import connection
from psycopg.conninfo import make_conninfo


def direct_dsn() -> str:
    """The libpq address of this process's database, on the direct route when settings name one."""
    if settings.DATABASE_DIRECT_URL != settings.DATABASE_URL:
        return str(settings.DATABASE_DIRECT_URL)
    place = connection.settings_dict
    parts = {"dbname": place["NAME"], "user": place["USER"], "password": place["PASSWORD"]}
    parts |= {"host": place["HOST"], "port": str(place["PORT"])}
    return make_conninfo("", **{name: value for name, value in parts.items() if value})


def run_in_child(*module_and_arguments: str, seconds: float) -> subprocess.CompletedProcess[str]:
    """Run `python -m …` on this process's database and lake, and wait for it.

    Workers fork and the lake does not survive that, so lake work gets a process of its own. Raises
    subprocess.TimeoutExpired after `seconds`; the child is then dead, which lake work survives.
    """
    return subprocess.run(  # noqa: S603 - our own module, no shell
        [sys.executable, "-m", *module_and_arguments],
        env=child_environment(),
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def child_environment() -> Mapping[str, str]:
    """The environment of a child that is to see the same database and lake as this process."""
    own = {
        "DJANGO_SETTINGS_MODULE": os.environ.get("DJANGO_SETTINGS_MODULE", "controlplane.settings"),
        "SECRET_KEY": str(settings.SECRET_KEY),
        "LAKE_URL": str(settings.LAKE_URL),
        "DATABASE_DIRECT_URL": direct_dsn(),
        "PYTHONPATH": os.pathsep.join([str(settings.BASE_DIR), os.environ.get("PYTHONPATH", "")]).rstrip(
            os.pathsep
        ),
    }
    return {**os.environ, **own}
