"""The process table: which processes make an installation, with what commands, settings and ports.

`manage.py up` runs it; `docker/compose.yaml` says the same, and a test compares the two.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template

ROOT = Path(__file__).resolve().parent.parent.parent
DEFAULTS = {"HOST": "127.0.0.1", "WEB_PORT": "8000", "SERVE_PORT": "8001"}


@dataclass(frozen=True)
class Process:
    """One of our own processes. `$NAME` in a command is a variable of the environment.

    port: the variable that names its port, "" when it has none; such a process answers `/healthz`.
    environment: variables beyond the common ones. takes: names of variables that it alone reads, when set.
    runs_once: must end with exit code 0 before the next one starts.
    grace_seconds: how long it may take to end after SIGTERM before it is killed.
    """

    name: str
    command: tuple[str, ...]
    port: str = ""
    environment: tuple[tuple[str, str], ...] = ()
    takes: tuple[str, ...] = ()
    runs_once: bool = False
    grace_seconds: float = 5.0

    def arguments(self, environ: Mapping[str, str]) -> list[str]:
        """The command with the environment's values in it. Raises KeyError for a variable that is not set."""
        known = DEFAULTS | {name: value for name, value in environ.items() if value}
        return [Template(part).substitute(known) for part in self.command]


def _granian(application: str, port: str, *, interface: str = "asgi") -> tuple[str, ...]:
    # An open stream would hold a worker for ever after SIGTERM: workers-kill-timeout ends the wait.
    return (
        *("python", "-m", "granian", "--interface", interface, "--no-ws", "--loop", "asyncio"),
        *("--host", "$HOST", "--port", f"${port}", "--workers", "1", "--workers-kill-timeout", "3"),
        application,
    )


MIGRATE = Process("migrate", ("python", "manage.py", "migrate", "--noinput"), runs_once=True)
BOOTSTRAP = Process(
    "bootstrap", ("python", "manage.py", "bootstrap"), takes=("ADMIN_PASSWORD",), runs_once=True
)
SERVE = Process("serve", _granian("controlplane.serve:application", "SERVE_PORT"), port="SERVE_PORT")
WEB = Process(
    "web",
    _granian("controlplane.asgi:application", "WEB_PORT", interface="asginl"),  # Django knows no lifespan
    port="WEB_PORT",
    environment=(("DATABASE_POOL", "1"),),
)
WORKER = Process(
    "worker",
    (
        *(
            "python",
            "-m",
            "celery",
            "--quiet",
            "--app",
            "controlplane.celery",
            "worker",
            "--loglevel",
            "WARNING",
        ),
        *("--concurrency", "2", "--without-mingle", "--without-gossip"),
    ),
)
BEAT = Process(
    "beat",
    ("python", "-m", "celery", "--quiet", "--app", "controlplane.celery", "beat", "--loglevel", "WARNING"),
)

DATABASE_NAME, BROKER_NAME = "database", "broker"
# In the order they start. Before them come database and broker, servers of others with commands of their own.
PROCESSES = (MIGRATE, BOOTSTRAP, SERVE, WEB, WORKER, BEAT)
NAMES = (DATABASE_NAME, BROKER_NAME, *(process.name for process in PROCESSES))
