"""Where an embedded installation keeps things, and the addresses that follow from it. No I/O."""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

SOCKET_PATH_LIMIT = 103  # bytes that fit sun_path on every platform (107 on Linux, 103 on macOS)
DATABASE = "controlplane"
OWNER_ROLE = "controlplane"
WEB_ROLE = "controlplane_web"
SUPERUSER = "postgres"


@dataclass(frozen=True)
class Places:
    """Paths under one VAR_DIR."""

    var_dir: Path

    @property
    def data(self) -> Path:
        """PostgreSQL's data directory."""
        return self.var_dir / "postgres"

    @property
    def valkey(self) -> Path:
        return self.var_dir / "valkey"

    @property
    def logs(self) -> Path:
        return self.var_dir / "log"

    @property
    def run(self) -> Path:
        """Directory of the sockets: inside VAR_DIR, or a short one under /tmp when the path would not fit."""
        inside = self.var_dir / "run"
        longest = inside / ".s.PGSQL.5432.lock"
        if len(str(longest).encode()) <= SOCKET_PATH_LIMIT:
            return inside
        return Path("/tmp") / f"cp-{sha256(str(self.var_dir).encode()).hexdigest()[:16]}"  # noqa: S108 - checked for owner and mode before use

    @property
    def postgres_socket(self) -> Path:
        return self.run / ".s.PGSQL.5432"

    @property
    def valkey_socket(self) -> Path:
        return self.run / "valkey.sock"

    @property
    def runtime_env(self) -> Path:
        return self.var_dir / "runtime.env"

    @property
    def status(self) -> Path:
        """Status file of a running `manage.py up`."""
        return self.var_dir / "up.json"

    @property
    def up_lock(self) -> Path:
        """Held by a running `manage.py up`."""
        return self.var_dir / "up.lock"

    @property
    def services_lock(self) -> Path:
        """Held while database or broker are being started or stopped."""
        return self.var_dir / "services.lock"

    def database_url(self, role: str, database: str = DATABASE) -> str:
        return f"postgresql://{role}@/{database}?host={quote(str(self.run))}"

    def addresses(self) -> dict[str, str]:
        """The variables that point settings at this installation's own servers."""
        return self.database_addresses() | {"BROKER_URL": f"redis+socket://{quote(str(self.valkey_socket))}"}

    def database_addresses(self) -> dict[str, str]:
        return {
            "DATABASE_URL": self.database_url(WEB_ROLE),
            "DATABASE_OWNER_URL": self.database_url(OWNER_ROLE),
            "DATABASE_DIRECT_URL": self.database_url(WEB_ROLE),
            "DATABASE_ADMIN_URL": self.database_url(SUPERUSER, "postgres"),
        }


def places(var_dir: Path | str) -> Places:
    """Places under VAR_DIR; a relative path is taken from the working directory."""
    return Places(Path(var_dir).expanduser().resolve())
