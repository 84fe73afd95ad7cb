"""Starting an analysis in a child process, so that this process never touches the lake and memory stays
bounded.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from controlplane.core.errors import InvalidInput, Unavailable
from controlplane.evidence.plan import AnalysisRequest

ROOT = Path(__file__).resolve().parents[2]


class AnalysisFailed(Unavailable):
    """The analysis could not be carried out now: the lake cannot be read, it took too long or too much
    memory.
    """

    code = "analysis_failed"
    title = "The analysis could not be carried out"


def analyse_in_child(
    request: AnalysisRequest,
    *,
    lake_url: str,
    memory_mb: int = 2048,
    threads: int = 2,
    timeout_seconds: float = 900.0,
) -> dict[str, Any]:
    """The result document of `request` over the lake; raises InvalidInput or AnalysisFailed."""
    order = {"lake_url": lake_url, "memory_mb": memory_mb, "threads": threads, "request": request.to_json()}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "controlplane.evidence.child"],
            input=json.dumps(order),
            capture_output=True,
            text=True,
            cwd=ROOT,
            timeout=timeout_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise AnalysisFailed(f"The analysis took longer than {timeout_seconds:.0f} seconds.") from None
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise AnalysisFailed(f"The analysis process ended with status {done.returncode}: {last[0]}")
    answer: dict[str, Any] = json.loads(done.stdout)
    error = answer.get("error")
    if error is None:
        result: dict[str, Any] = answer["result"]
        return result
    if error["code"] == "invalid_input":
        raise InvalidInput.on(error["field"], error["detail"])
    raise AnalysisFailed(error["detail"])
