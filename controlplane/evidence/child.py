"""One analysis in a process of its own: `python -m controlplane.evidence.child`, JSON in and JSON out.

It touches the lake, which a process that forks must not, and it may only take so much memory. It imports no
Django. In: {lake_url, memory_mb, threads, request}. Out: {result} or {error: {code, detail, field?}}; exit
status 0 either way.
"""

import json
import resource
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
from deltalake.exceptions import DeltaError

from controlplane.evidence.analysis import analyse
from controlplane.evidence.documents import result_document
from controlplane.evidence.plan import AnalysisRequest
from controlplane.evidence.population import InvalidSpec
from controlplane.evidence.reading import open_lake

OVERHEAD_MB = 3072
"""Address space beyond DuckDB's own limit: libraries, thread stacks, what allocators reserve but never
use.
"""
ATTEMPTS = 3


def main() -> None:
    """Read one request, answer it, exit."""
    order = json.load(sys.stdin)
    memory_mb = int(order["memory_mb"])
    limit = (memory_mb + OVERHEAD_MB) * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    try:
        answer = {"result": run(order, memory_mb=memory_mb)}
    except InvalidSpec as error:
        answer = {"error": {"code": "invalid_input", "field": error.field, "detail": str(error)}}
    except (duckdb.OutOfMemoryException, MemoryError):
        answer = {
            "error": {"code": "out_of_memory", "detail": f"The analysis needs more than {memory_mb} MB."}
        }
    except (duckdb.Error, DeltaError, OSError) as error:
        answer = {"error": {"code": "lake_unreadable", "detail": f"The lake could not be read: {error}"}}
    json.dump(answer, sys.stdout, allow_nan=False)


def run(order: Mapping[str, Any], *, memory_mb: int) -> dict[str, Any]:
    """The result document. Opens the lake anew when a file vanished meanwhile: erasure rewrites and removes
    files.
    """
    request = AnalysisRequest.from_json(order["request"])
    with tempfile.TemporaryDirectory(prefix="analysis-") as spill:
        for attempt in range(1, ATTEMPTS + 1):
            opened = open_lake(
                order["lake_url"],
                since=request.population.since,
                memory_mb=memory_mb,
                threads=order.get("threads"),
                spill_dir=Path(spill),
            )
            try:
                return result_document(analyse(opened.events, request, lake_version=opened.version))
            except duckdb.IOException:
                if attempt == ATTEMPTS:
                    raise
    raise AssertionError("unreachable: the last attempt returns or raises")


if __name__ == "__main__":
    main()
