"""The secret scan finds what is planted, and its baseline holds only what somebody has looked at."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BASELINE = ROOT / ".secrets.baseline"
HOOK = Path(sys.executable).with_name("detect-secrets-hook")


def scan(folder: Path, content: str) -> int:
    """Exit code of the scan of one file against the committed baseline: 1 when it finds something new."""
    shutil.copy(BASELINE, folder / "baseline")
    (folder / "planted.py").write_text(content, encoding="utf-8")
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    command = [str(HOOK), "--baseline", "baseline", "planted.py"]
    return subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode


def test_scan__a_planted_key__is_found(tmp_path: Path) -> None:
    key = "AKIA" + "Q3EGRZJ4MWT7XN2B"

    assert scan(tmp_path, f'aws = "{key}"\n') == 1


def test_scan__a_planted_password__is_found(tmp_path: Path) -> None:
    word = "pass" + "word"

    assert scan(tmp_path, f'{word} = "hunter2-correct-horse"\n') == 1


def test_scan__an_innocent_file__passes(tmp_path: Path) -> None:
    assert scan(tmp_path, "answer = 42\n") == 0


def test_baseline__every_entry__was_looked_at_and_is_no_secret() -> None:
    results = json.loads(BASELINE.read_text(encoding="utf-8"))["results"]
    unread = [
        f"{path}:{one['line_number']}"
        for path, found in results.items()
        for one in found
        if one.get("is_secret", True)
    ]

    assert unread == []
