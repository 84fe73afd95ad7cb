"""`manage.py demo_verify`: recompute the summary's numbers in a process of its own, without Django."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = "Recompute each number of var/demo/summary.json from the lake's files; exit 1 when one differs."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        var_dir = Path(os.environ["VAR_DIR"])
        lake = os.environ.get("LAKE_URL") or f"file://{var_dir / 'lake'}"
        command = [sys.executable, "-m", "controlplane.demo.verify"]
        ended = subprocess.run(  # noqa: S603 - our own module
            [*command, "--summary", str(var_dir / "demo" / "summary.json"), "--lake", lake], check=False
        )
        sys.exit(ended.returncode)
