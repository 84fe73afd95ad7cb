"""The client as a host installs it: its own wheel, in an empty environment, outside the checkout."""

import json
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests.client.documents import document

ROOT = Path(__file__).resolve().parents[2]
DECIDE_AND_LIST = """
import runpy, sys
sys.argv = ["example", "--ruleset", sys.argv[1]]
try:
    runpy.run_module("controlplane.client.example", run_name="__main__")
except SystemExit as ended:
    assert ended.code == 0, ended.code
foreign = {name.partition(".")[0] for name in sys.modules} - set(sys.stdlib_module_names) - {"__main__"}
print(sorted(foreign), file=sys.stderr)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built offline from a copy, so that no build leftovers stay in the checkout."""
    source = tmp_path_factory.mktemp("source")
    shutil.copy(ROOT / "pyproject.toml", source)
    shutil.copytree(
        ROOT / "controlplane", source / "controlplane", ignore=shutil.ignore_patterns("__pycache__", "var")
    )
    out = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(source)],
        check=True,
        capture_output=True,
        timeout=120,
    )
    (built,) = out.glob("controlplane_client-*.whl")
    return built


@pytest.fixture(scope="module")
def empty_python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that holds the wheel and nothing else."""
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, with_pip=False, clear=True)
    python = home / "bin" / "python"
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "--python",
            str(python),
            "install",
            "--no-index",
            "--no-deps",
            str(wheel),
        ],
        check=True,
        capture_output=True,
        timeout=120,
    )
    return python


def test_wheel__content__is_engine_client_and_an_empty_root(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        root = archive.read("controlplane/__init__.py")
        metadata = archive.read(next(name for name in names if name.endswith("METADATA"))).decode()
    folders = {"/".join(name.split("/")[:2]) for name in names if name.startswith("controlplane/")}
    assert folders == {"controlplane/__init__.py", "controlplane/client", "controlplane/engine"}
    assert "controlplane/client/py.typed" in names
    assert root == b""
    required = [line for line in metadata.splitlines() if line.startswith("Requires-Dist")]
    assert len(required) == 1
    assert required[0].startswith("Requires-Dist: httpx")


def test_wheel__empty_environment__example_decides_without_django(empty_python: Path, tmp_path: Path) -> None:
    ruleset = tmp_path / "ruleset.json"
    ruleset.write_text(json.dumps(document(revision=12)))
    done = subprocess.run(
        [str(empty_python), "-I", "-c", DECIDE_AND_LIST, str(ruleset)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    decision = json.loads(done.stdout)
    assert decision["revision"] == 12
    assert [item["id"] for item in decision["slate"]] == ["item-4", "item-1", "item-2", "item-3", "item-5"]
    assert decision["assignments"][0]["arm"] in {"control", "treatment"}
    assert done.stderr.strip() == "['controlplane']"


def test_wheel__empty_environment__runs_as_a_module(empty_python: Path, tmp_path: Path) -> None:
    ruleset = tmp_path / "ruleset.json"
    ruleset.write_text(json.dumps(document(revision=3)))
    done = subprocess.run(
        [str(empty_python), "-I", "-m", "controlplane.client.example", "--ruleset", str(ruleset)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["revision"] == 3


def test_wheel__version__is_the_client_s() -> None:
    from controlplane.client import __version__  # noqa: PLC0415

    assert f'version = "{__version__}"' in (ROOT / "pyproject.toml").read_text()
