"""VAR_DIR/runtime.env: how every process of an embedded installation learns its addresses and its secret."""

import os
import secrets
from collections.abc import MutableMapping
from pathlib import Path

from controlplane.embedded.places import Places
from controlplane.embedded.refusals import ExitCode, Refusal

SERVERS = {"DATABASE_URL": "DATABASE_", "BROKER_URL": "BROKER_"}


def read(path: Path) -> dict[str, str]:
    """KEY=VALUE lines of the file; blank lines and # comments are skipped; an absent file is empty."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    pairs = (line.partition("=") for line in lines if line.strip() and not line.lstrip().startswith("#"))
    return {key.strip(): value.strip() for key, _, value in pairs}


def load(where: Places, environ: MutableMapping[str, str]) -> None:
    """Add the file's variables to `environ`, never replacing one that is set.

    A DATABASE_URL (or BROKER_URL) that is set already names a server of the operator's own: then none of the
    file's other DATABASE_ (BROKER_) variables apply, so that no process is split over two servers.
    """
    foreign = tuple(prefix for name, prefix in SERVERS.items() if environ.get(name))
    environ.setdefault("VAR_DIR", str(where.var_dir))
    for key, value in read(where.runtime_env).items():
        if not key.startswith(foreign):
            environ.setdefault(key, value)


def ensure(where: Places) -> dict[str, str]:
    """Write the file when it is missing or names old addresses, keeping the secret; return its content."""
    present = read(where.runtime_env)
    wanted = (
        present | {"SECRET_KEY": present.get("SECRET_KEY") or secrets.token_urlsafe(48)} | where.addresses()
    )
    if wanted != present:
        _write(where.runtime_env, wanted)
    return wanted


def replace_secret(where: Places, secret_key: str) -> None:
    """Put a restored installation's secret into the file."""
    _write(where.runtime_env, read(where.runtime_env) | {"SECRET_KEY": secret_key} | where.addresses())


def _write(path: Path, content: dict[str, str]) -> None:
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh.touch(0o600)
        lines = (f"{key}={value}\n" for key, value in content.items())
        fresh.write_text(
            "# Written by manage.py up. Keep it secret: it signs sessions.\n" + "".join(lines), "utf-8"
        )
        fresh.replace(path)
    except OSError as error:
        raise Refusal(
            ExitCode.NOT_WRITABLE,
            f"cannot write {path} ({error.strerror}); give this user the folder, or set VAR_DIR to another",
        ) from error
