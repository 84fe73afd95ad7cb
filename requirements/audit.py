"""What can be said about the dependencies without a network: `python requirements/audit.py [FOLDER]`.

Every requirement of a `.in` file is pinned in its `.txt` by a version that satisfies it; every pin carries a
sha256; nothing comes from a URL; the development lock contains the runtime lock unchanged; the installer's pin is
the development lock's; the running environment holds the pinned versions. One line per breach, exit 1 on any.
"""

import re
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PIN = re.compile(r"^(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)==(?P<version>[^\s;\\]+)\s*(?:;(?P<marker>[^\\]*))?")
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}\b")


@dataclass(frozen=True)
class Pin:
    """One locked package: its version, the marker it applies under, and how many files' hashes are known."""

    version: str
    marker: str
    hashes: int


def read_lock(path: Path) -> dict[str, Pin]:
    """The pins of a compiled lock by canonical name; ValueError names a line that is no pin."""
    pins: dict[str, Pin] = {}
    joined = path.read_text(encoding="utf-8").replace("\\\n", " ")
    for line in joined.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = PIN.match(line)
        if match is None:
            message = f"{path.name}: not a pinned package: {line.strip()[:80]}"
            raise ValueError(message)
        pins[canonicalize_name(match["name"])] = Pin(
            match["version"], (match["marker"] or "").split("--hash")[0].strip(), len(HASH.findall(line))
        )
    return pins


def read_wishes(path: Path) -> list[Requirement]:
    """The requirements a person wrote, without comments and references to other files."""
    lines = (line.split("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith("-")]


def breaches(folder: Path) -> list[str]:
    """Every way in which the locks of `folder` disagree with each other or with what people asked for."""
    locks = {name: read_lock(folder / f"{name}.txt") for name in ("base", "dev", "bootstrap")}
    found = []
    for name, pins in locks.items():
        found += [f"{name}.txt: {package} has no sha256" for package, pin in pins.items() if pin.hashes == 0]
    for name in ("base", "dev"):
        for wish in read_wishes(folder / f"{name}.in"):
            pin = locks[name].get(canonicalize_name(wish.name))
            if pin is None:
                found.append(f"{name}.in asks for {wish.name}, {name}.txt does not pin it: make lock")
            elif not wish.specifier.contains(pin.version, prereleases=True):
                found.append(f"{name}.in asks for {wish}, {name}.txt pins {pin.version}: make lock")
    for package, pin in locks["base"].items():
        other = locks["dev"].get(package)
        if other is None or other.version != pin.version:
            found.append(
                f"base.txt pins {package} {pin.version}, dev.txt {other.version if other else 'nothing'}"
            )
    if locks["bootstrap"].get("uv") != locks["dev"].get("uv"):
        found.append("bootstrap.txt and dev.txt pin different builds of uv: make lock")
    return found


def strays(folder: Path) -> list[str]:
    """Packages of the running environment whose version is not the locked one."""
    found = []
    for package, pin in read_lock(folder / "dev.txt").items():
        if pin.marker:
            continue
        try:
            installed = metadata.version(package)
        except metadata.PackageNotFoundError:
            installed = "nothing"
        if installed != pin.version:
            found.append(
                f"installed: {package} {installed}, locked {pin.version}: remove .venv and run make again"
            )
    return found


def main() -> int:
    """Audit the folder named on the command line, or this script's own together with the environment."""
    if len(sys.argv) > 1:
        found = breaches(Path(sys.argv[1]))
    else:
        folder = Path(__file__).parent
        found = breaches(folder) + strays(folder)
    for line in found:
        print(line, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
