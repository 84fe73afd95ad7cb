"""The published data sets: a missing one fails the run, and the run ends with how much was checked of each."""

import os
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from controlplane.catalog.services.environments import create_environment
from controlplane.core.actors import Actor
from experiments.importing.parts import Import

NOW = datetime(2026, 11, 1, tzinfo=UTC)
_assertions: Counter[str] = Counter()


def pytest_assertion_pass(item: pytest.Item) -> None:
    """Count what held, per set; needs `enable_assertion_pass_hook`, which `make test-data` turns on."""
    _assertions[Path(str(item.fspath)).stem.removeprefix("test_")] += 1


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if _assertions:
        terminalreporter.section("assertions that held, per data set")
        for name, count in sorted(_assertions.items()):
            terminalreporter.write_line(f"{name:12} {count}")


@pytest.fixture
def place() -> Callable[[str], Path]:
    """Folder of a data set below DATA; fails where it is not."""

    def find(name: str) -> Path:
        base = os.environ.get("DATA")
        assert base, "say where the data sets are: make test-data DATA=dir"
        folder = Path(base) / name
        assert folder.is_dir(), f"{folder} is missing; DATA must hold every published set"
        return folder

    return find


@pytest.fixture
def job(transactional_db: None) -> Import:
    """An import into an environment of its own."""
    create_environment(
        key="production", name="Production", kind="production", actor=Actor.system("bootstrap"), at=NOW
    )
    return Import(environment="production", actor=Actor.system("importer"), at=NOW, owner="tests")
