"""Each gate and each promise of the law, removed in turn: the case corpus must notice.

A mutant is a copy of the engine with one line changed; it runs the cases in a process of its own.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUN_CASES = """
import sys
sys.path[:0] = [sys.argv[1], sys.argv[2]]
import controlplane.engine
assert controlplane.engine.__file__.startswith(sys.argv[1]), controlplane.engine.__file__
from controlplane.engine import decide
from tests.engine.documents import ruleset
from tests.engine.test_cases import CASES, full_request, observed, sections
for case in (param.values[0] for param in CASES):
    try:
        decision = decide(ruleset(*sections(case)), full_request(case))
        agrees = {name: observed(decision, name) for name in case["expect"]} == case["expect"]
    except Exception as error:
        agrees = False
    if not agrees:
        sys.exit(f"NOTICED by: {case['name']}")
"""
MUTANTS = {
    "kill switches block nothing": ("gates.py", "if switch is not None:", "if False:"),
    "availability is not asked": ("gates.py", "elif not item.available():", "elif False:"),
    "licences are not asked": ("gates.py", "elif not self._licensed(item):", "elif False:"),
    "guardrails are not asked": ("gates.py", "return self._passes_guardrails(item) and not", "return not"),
    "hides are not asked": (
        "gates.py",
        "self._passes_guardrails(item) and not self._hidden(item)",
        "self._passes_guardrails(item)",
    ),
    "an item brought in passes no gate": (
        "gates.py",
        "return item if self.admits(item) else None",
        "return item",
    ),
    "an item brought in needs no facts": (
        "gates.py",
        "if facts is None:\n            self._record",
        "if False:\n            self._record",
    ),
    "a refused item may be brought in": ("gates.py", "if item_id in self._record.refused:", "if False:"),
    "required filters are not asked": ("gates.py", "if not rule.targets(item):", "if False:"),
    "a refused candidate may be pinned": ("pins.py", "if item_id in self._record.refused:", "if False:"),
    "pins ignore required filters": (
        "pins.py",
        "if item is None or not rule.must_match_filters:",
        "if True:",
    ),
    "pins are not exempt from filters": (
        "pins.py",
        "if item is None or not rule.must_match_filters:",
        "if item is None:",
    ),
    "a pin may push another off its position": ("pins.py", "while position in self.claimed:", "while False:"),
    "a refused pin shifts the others": (
        "pins.py",
        "rule.position + offset)",
        "rule.position + len(self.placed))",
    ),
    "slate gates are not asked": ("slates.py", "if objection is None:", "if True:"),
    "slate gates spare the lowest": ("slates.py", "offenders[-1]", "offenders[0]"),
    "the fallback ignores filters": ("slates.py", "if unmet is not None:", "if False:"),
    "the facts' signals are dropped": (
        "items.py",
        "in (self.facts, self.attributes):\n            if source is not None:\n                v",
        "in (self.attributes,):\n            if source is not None:\n                v",
    ),
    "the caller's reading is dropped": (
        "items.py",
        "return (facts_first, {**known",
        "return (facts_first, facts_first) or ({**known",
    ),
    "factors are not clamped": (
        "items.py",
        "product = min(most, max(least, product)) * demotion",
        "product *= demotion",
    ),
    "safe mode is ignored": ("law.py", "if subject.safe_mode is not None:", "if False:"),
    "safe mode assigns arms": ("experiments.py", "if subject.safe_mode is not None or", "if"),
    "windows are always open": ("subjects.py", "return open_at(windows, self.at)", "return True"),
    "unknown audiences hold everybody": (
        "subjects.py",
        "predicate is not None and predicate(",
        "predicate is None or predicate(",
    ),
    "missing ages are adults": (
        "guardrails.py",
        "return age is not None and age >=",
        "return age is None or age >=",
    ),
    "missing regions are allowed": (
        "guardrails.py",
        "return region is not None and region not in",
        "return region is None or region not in",
    ),
    "missing signals fail open": ("guardrails.py", "return self.closed\n", "return []\n"),
    "shadow guardrails act": ("gates.py", "if not rail.live:", "if False:"),
    "layers are not asked": ("experiments.py", "if not member or not holds(", "if False and holds("),
    "conditions of experiments are not asked": (
        "experiments.py",
        "if not self.condition(subject.attributes):",
        "if False:",
    ),
}


def mutated(folder: Path, file: str, line: str, instead: str) -> None:
    shutil.copytree(ROOT / "controlplane" / "engine", folder / "controlplane" / "engine")
    (folder / "controlplane" / "__init__.py").touch()
    target = folder / "controlplane" / "engine" / file
    source = target.read_text("utf-8")
    assert source.count(line) == 1, f"{line!r} stands {source.count(line)} times in {file}"
    target.write_text(source.replace(line, instead), "utf-8")


def run(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", "-c", RUN_CASES, str(folder), str(ROOT)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_mutant__that_changes_nothing__passes_every_case(tmp_path: Path) -> None:
    mutated(tmp_path, "gates.py", "if switch is not None:", "if switch is not None:")
    finished = run(tmp_path)
    assert (finished.returncode, finished.stderr) == (0, "")


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant__of_the_law__is_noticed_by_a_case(name: str, tmp_path: Path) -> None:
    mutated(tmp_path, *MUTANTS[name])
    finished = run(tmp_path)
    assert finished.stderr.startswith("NOTICED by: "), finished.stderr
