"""The locks agree with what people asked for; the audit that says so notices each way of disagreeing."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REQUIREMENTS = Path(__file__).resolve().parents[2] / "requirements"


def audit(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(REQUIREMENTS / "audit.py"), str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for path in (*REQUIREMENTS.glob("*.in"), *REQUIREMENTS.glob("*.txt")):
        shutil.copy(path, tmp_path)
    return tmp_path


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_locks__as_committed__agree(folder: Path) -> None:
    result = audit(folder)

    assert (result.returncode, result.stderr) == (0, "")


def test_locks__a_wish_without_pin__is_named(folder: Path) -> None:
    with (folder / "base.in").open("a", encoding="utf-8") as file:
        file.write("left-pad\n")

    result = audit(folder)

    assert result.returncode == 1
    assert result.stderr == "base.in asks for left-pad, base.txt does not pin it: make lock\n"


def test_locks__a_pin_outside_the_wish__is_named(folder: Path) -> None:
    replace(folder / "base.in", "django>=5.2,<5.3", "django>=6,<7")

    result = audit(folder)

    assert result.returncode == 1
    assert "base.in asks for django<7,>=6, base.txt pins 5.2" in result.stderr


def test_locks__a_pin_without_hash__is_named(folder: Path) -> None:
    with (folder / "base.txt").open("a", encoding="utf-8") as file:
        file.write("left-pad==1.0\n")

    assert "base.txt: left-pad has no sha256" in audit(folder).stderr


def test_locks__a_requirement_from_a_url__is_refused(folder: Path) -> None:
    with (folder / "base.txt").open("a", encoding="utf-8") as file:
        file.write("left-pad @ https://example.com/left-pad.whl\n")

    result = audit(folder)

    assert result.returncode == 1
    assert "base.txt: not a pinned package: left-pad @ https://example.com" in result.stderr


def test_locks__runtime_and_development_apart__are_named(folder: Path) -> None:
    replace(folder / "dev.txt", "\ncelery==", "\ncelery==0.0.")

    assert "base.txt pins celery" in audit(folder).stderr


def test_locks__another_installer_pinned__is_named(folder: Path) -> None:
    replace(folder / "bootstrap.txt", "uv==", "uv==0.0.")

    assert audit(folder).stderr == "bootstrap.txt and dev.txt pin different builds of uv: make lock\n"
