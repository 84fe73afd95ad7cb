"""The import rule holds, and each of its contracts notices a breach."""

import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("controlplane", "experiments", "overrides", "governance")
LINTER = Path(sys.executable).with_name("lint-imports")


@dataclass(frozen=True)
class Breach:
    """A file that breaks one contract: where it is planted and what it imports."""

    contract: str
    path: str
    line: str
    reported: str


BREACHES = (
    Breach("house", "controlplane/core/planted.py", "import experiments", "controlplane.core"),
    Breach(
        "house",
        "controlplane/catalog/planted.py",
        "from controlplane.rulesets import planted_too",
        "controlplane.catalog",
    ),
    Breach("house", "overrides/planted.py", "import experiments.planted_too", "overrides"),
    Breach(
        "house",
        "controlplane/engine/planted.py",
        "from controlplane.stats import planted_too",
        "controlplane.engine",
    ),
    Breach(
        "house", "controlplane/events/planted.py", "def late():\n    import overrides", "controlplane.events"
    ),
    Breach(
        "governance",
        "governance/approvals/planted.py",
        "import governance.guardrails",
        "governance.approvals",
    ),
    Breach("app-layers", "overrides/models/planted.py", "import overrides.services", "overrides.models"),
    Breach(
        "app-layers", "experiments/selectors/planted.py", "import experiments.api", "experiments.selectors"
    ),
    Breach("engine-alone", "controlplane/engine/planted.py", "import numpy", "controlplane.engine"),
    Breach("laws", "controlplane/stats/planted.py", "from django.conf import settings", "controlplane.stats"),
    Breach("laws", "experiments/lifecycle/planted.py", "import celery", "experiments.lifecycle"),
    Breach("rest-in-api", "overrides/services/planted.py", "import rest_framework", "overrides"),
    Breach("tasks-only", "controlplane/events/planted.py", "import celery", "controlplane"),
    Breach(
        "client", "controlplane/client/planted.py", "import controlplane.core.errors", "controlplane.client"
    ),
    Breach("demo", "controlplane/demo/planted.py", "import controlplane.catalog", "controlplane.demo"),
    Breach(
        "embedded-alone",
        "controlplane/embedded/planted.py",
        "import controlplane.rulesets",
        "controlplane.embedded",
    ),
    Breach("serve", "controlplane/serve/planted.py", "import rest_framework", "controlplane.serve"),
)


def contracts() -> list[str]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return [contract["id"] for contract in settings["tool"]["importlinter"]["contracts"]]


def lint(tree: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(LINTER), "--no-cache", "--no-logo", *options],
        cwd=tree,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the source in which anything may be planted."""
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__", "static")
        )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def plant(tree: Path, path: str, content: str) -> None:
    """Write a module. One that turns `services.py` into a package keeps the module's content as its `__init__`."""
    target = tree / path
    folder = target.parent
    if not folder.exists():
        module = folder.with_suffix(".py")
        folder.mkdir(parents=True)
        if module.exists():
            module.rename(folder / "__init__.py")
    for parent in (folder, *folder.parents):
        if parent == tree:
            break
        (parent / "__init__.py").touch()
    target.write_text(content + "\n", encoding="utf-8")


def test_source__as_committed__keeps_every_contract() -> None:
    result = lint(ROOT)

    assert result.returncode == 0, result.stdout
    assert f"Contracts: {len(contracts())} kept, 0 broken." in result.stdout


@pytest.mark.parametrize("breach", BREACHES, ids=lambda breach: f"{breach.contract}: {breach.path}")
def test_contract__planted_breach__is_broken_and_named(tree: Path, breach: Breach) -> None:
    for package in ("rulesets", "stats"):
        plant(tree, f"controlplane/{package}/planted_too.py", "")
    plant(tree, "experiments/planted_too.py", "")
    plant(tree, breach.path, breach.line)

    result = lint(tree, "--contract", breach.contract)

    assert result.returncode == 1, result.stdout
    assert f"{breach.reported} is not allowed to import" in result.stdout.replace("\n", " ")


def test_breaches__one_at_least__for_every_contract() -> None:
    assert {breach.contract for breach in BREACHES} == set(contracts())


def imported_by(module: str) -> set[str]:
    """Top-level and dotted names in sys.modules after importing `module` in a process of its own."""
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import {module}; print('\\n'.join(sys.modules))"
    answer = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True
    )
    return set(answer.stdout.split())


def test_engine__imported_alone__brings_only_the_standard_library() -> None:
    loaded = imported_by("controlplane.engine")
    foreign = (
        {name.partition(".")[0] for name in loaded}
        - set(sys.stdlib_module_names)
        - {"controlplane", "__main__"}
    )
    ours = {name for name in loaded if name.startswith("controlplane.")}

    assert foreign == set()
    assert {name for name in ours if not name.startswith("controlplane.engine")} == set()
    assert "controlplane.engine" in ours
