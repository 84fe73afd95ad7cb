"""Under which user the servers run, and what it takes for that user to reach its files."""

import os
import pwd
import stat
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from controlplane.embedded import launch
from controlplane.embedded.refusals import ExitCode, Refusal

UNPRIVILEGED = ("postgres", "nobody")  # PostgreSQL refuses to run as root


@dataclass(frozen=True)
class Account:
    """The user the servers run as; `drops` says that this differs from the user we are."""

    uid: int
    gid: int
    drops: bool

    def own(self, path: Path) -> Path:
        """Make the directory if absent, private to this user; refuse one that is someone else's."""
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in {self.uid, os.getuid()}:
            raise Refusal(
                ExitCode.NOT_WRITABLE, f"{path} belongs to user id {found.st_uid}; remove it or set VAR_DIR"
            )
        if self.drops and found.st_uid != self.uid:
            os.chown(path, self.uid, self.gid)
        path.chmod(0o700)
        return path

    def give(self, path: Path) -> None:
        """Hand a file to this user, readable by nobody else."""
        path.chmod(0o600)
        if self.drops:
            os.chown(path, self.uid, self.gid)

    def command(
        self,
        command: Sequence[str],
        *,
        touches: Sequence[Path],
        detach: bool = False,
        death_signal: int | None = None,
    ) -> list[str]:
        """The command line that runs `command` as this user, able to reach the paths in `touches`.

        With `death_signal` the program gets that signal when the calling process dies.
        """
        line = [sys.executable, "-I", "-S", launch.__file__, "--directory", "/"]
        if self.drops:
            line += ["--user", f"{self.uid}:{self.gid}"]
            if not all(self._reaches(path) for path in touches):
                line.append("--search")
        if detach:
            line.append("--detach")
        if death_signal is not None:
            line += ["--parent", str(os.getpid()), "--death-signal", str(death_signal)]
        return [*line, "--", *command]

    def _reaches(self, path: Path) -> bool:
        real = path.resolve()
        steps = {*real.parents, *path.absolute().parents}
        return self._may(real, directory=real.is_dir()) and all(
            self._may(step, directory=True) for step in steps
        )

    def _may(self, path: Path, *, directory: bool) -> bool:
        found = path.stat()
        shift = 6 if found.st_uid == self.uid else 3 if found.st_gid == self.gid else 0
        wanted = 0o1 if directory else 0o5
        return (found.st_mode >> shift) & wanted == wanted


def server_environment() -> dict[str, str]:
    """What the servers see of our environment: none of its secrets."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}


def account(data: Path) -> Account:
    """The account for servers whose data directory is `data`: our own, or as root the directory's owner,
    or else the first of `postgres` and `nobody` that exists.
    """
    if os.getuid() != 0:
        return _named(os.getuid(), drops=False)
    if data.exists() and data.stat().st_uid != 0:
        return _named(data.stat().st_uid, drops=True)
    for name in UNPRIVILEGED:
        try:
            return _named(pwd.getpwnam(name).pw_uid, drops=True)
        except KeyError:
            continue
    raise Refusal(
        ExitCode.SETTINGS, "PostgreSQL will not run as root, and there is no user postgres or nobody here"
    )


def _named(uid: int, *, drops: bool) -> Account:
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        raise Refusal(
            ExitCode.SETTINGS,
            f"user id {uid} has no name in /etc/passwd, and PostgreSQL's initdb needs one; add it, or set DATABASE_URL",
        ) from None
    return Account(uid=uid, gid=entry.pw_gid, drops=drops)
