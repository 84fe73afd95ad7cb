"""Settings hand the parts to each other as dotted paths; a path that leads nowhere stops the boot."""

import re
from pathlib import Path

import pytest
from pytest_django import Settings

from controlplane.core import checks

ROOT = Path(__file__).resolve().parents[2]


def test_dotted_paths__as_committed__all_resolve() -> None:
    assert len(list(checks.dotted_paths())) >= 5
    assert checks.paths_resolve() == []


@pytest.fixture
def no_paths(settings: Settings) -> Settings:
    """Settings whose lists of paths are empty, to be filled by one test."""
    for name in checks.LISTS:
        setattr(settings, name, [])
    for name in checks.SINGLE:
        setattr(settings, name, "")
    settings.REACTIONS = {}
    return settings


@pytest.mark.parametrize("setting", checks.LISTS)
def test_dotted_paths__one_leads_nowhere__is_an_error_that_names_it(no_paths: Settings, setting: str) -> None:
    setattr(no_paths, setting, ["controlplane.core.nowhere.at_all"])

    problems = checks.paths_resolve()

    assert [problem.id for problem in problems] == ["core.E001"]
    assert problems[0].msg.startswith(
        f"{setting} names controlplane.core.nowhere.at_all, which cannot be imported"
    )


def test_dotted_paths__one_is_no_function__is_an_error(no_paths: Settings) -> None:
    no_paths.POLICIES = ["controlplane.core.checks.LISTS"]

    assert [problem.id for problem in checks.paths_resolve()] == ["core.E002"]


def documented_variables() -> set[str]:
    """Environment variables in the settings table of docs/contract.md."""
    section = (ROOT / "docs" / "contract.md").read_text(encoding="utf-8").split("## 2.")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`([A-Z_]+)`", row)}


def read_variables(text: str) -> set[str]:
    return set(re.findall(r"(?:environ\.get|environ|_flag)[\(\[]\s*\"([A-Z_]+)\"", text))


def test_environment__every_variable_read__is_documented() -> None:
    read = read_variables((ROOT / "controlplane" / "settings.py").read_text(encoding="utf-8"))

    assert len(read) > 10
    assert read - documented_variables() == set()


def test_environment__an_undocumented_variable__is_noticed() -> None:
    assert read_variables('X = os.environ.get("SECRETLY_READ", "1")') - documented_variables() == {
        "SECRETLY_READ"
    }


def test_environment__only_settings_read_it() -> None:
    """What starts processes (embedded, demo, the lake's children) hands it on; nothing else looks there."""
    allowed = re.compile(
        r"^controlplane/(settings|asgi|celery|serve|embedded/|demo/|events/(lake|addresses)\.py)"
    )
    readers = [
        str(path.relative_to(ROOT))
        for folder in ("controlplane", "experiments", "overrides", "governance")
        for path in (ROOT / folder).rglob("*.py")
        if re.search(r"\bos\.(environ|getenv)\b", path.read_text(encoding="utf-8"))
    ]

    assert [reader for reader in readers if not allowed.match(reader)] == []
