"""The architecture linter refuses what no file may use, in the room where it is planted."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

BANNED_EVERYWHERE = (
    "from datetime import datetime\n\nwhen = datetime.utcnow()\n",
    "from django.dispatch import receiver\n\nused = receiver\n",
    "from django.db.models.signals import post_save\n\nused = post_save\n",
    "from unittest import mock\n\nused = mock\n",
    "from unittest.mock import patch\n\nused = patch\n",
    "import pickle\n\nused = pickle\n",
    "import random\n\nused = random.random()\n",
    "import random\n\nused = random.choice([1, 2])\n",
    "import threading\n\nused = threading.local()\n",
    "from celery.signals import task_prerun\n\nused = task_prerun\n",
)
CLOCK = (
    "from django.utils import timezone\n\nwhen = timezone.now()\n",
    "from datetime import UTC, datetime\n\nwhen = datetime.now(tz=UTC)\n",
    "import time\n\nwhen = time.time()\n",
)


def refusals(code: str, *, at: str, options: tuple[str, ...] = ()) -> set[str]:
    """Rule codes ruff reports for `code` as if it stood at path `at`."""
    ruff = (sys.executable, "-m", "ruff", "check", "--quiet", "--no-cache", "--output-format=json")
    result = subprocess.run(
        [*ruff, *options, "--stdin-filename", at, "-"],
        input=code,
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    return {row["code"] for row in json.loads(result.stdout)}


@pytest.mark.parametrize("code", BANNED_EVERYWHERE)
@pytest.mark.parametrize(
    "path", ["experiments/services.py", "tests/engine/test_x.py", "overrides/api/views.py"]
)
def test_banned_api__planted_anywhere__is_refused(code: str, path: str) -> None:
    assert "TID251" in refusals(code, at=path)


@pytest.mark.parametrize("code", CLOCK)
@pytest.mark.parametrize(
    "path", ["experiments/services.py", "controlplane/rulesets/linker.py", "experiments/lifecycle.py"]
)
def test_clock__read_below_the_doors__is_refused(code: str, path: str) -> None:
    assert refusals(code, at=path, options=("--config", "requirements/clock-rule.toml")) == {"TID251"}


@pytest.mark.parametrize("code", CLOCK)
@pytest.mark.parametrize("path", ["experiments/api/views.py", "experiments/tasks.py", "overrides/admin.py"])
def test_clock__read_by_a_door__is_allowed(code: str, path: str) -> None:
    assert refusals(code, at=path, options=("--config", "requirements/clock-rule.toml")) == set()


def test_relative_import__anywhere__is_refused() -> None:
    assert "TID252" in refusals("from . import models\n\nused = models\n", at="experiments/services.py")
