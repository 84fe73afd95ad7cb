"""What the documents promise exists: commands, files, targets; and they speak of no one's machine."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import get_commands

ROOT = Path(__file__).resolve().parents[2]
MACHINE = re.compile(r"(?<![\w./$}])/(?:home|root|work|Users|mnt|workspace)/[\w.-]+|[A-Z]:\\\\Users")


def documents() -> list[Path]:
    return sorted(
        [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "controlplane").rglob("README.md")]
    )


def tracked() -> Iterator[Path]:
    """Files under version control, or every file where there is no git (an unpacked archive)."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    yield from (ROOT / name for name in listed.split("\0") if name)


def targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def unknown(text: str, *, commands: set[str], goals: set[str]) -> list[str]:
    """Commands in code spans and blocks that do not exist."""
    code = "\n".join(_code(text))
    found = [f"make {goal}" for goal in re.findall(r"\bmake ([a-z][a-z-]*)", code) if goal not in goals]
    named = re.findall(r"manage\.py ([a-z_]+)", code)
    return found + [f"manage.py {command}" for command in named if command not in commands]


def _code(text: str) -> list[str]:
    blocks = re.findall(r"```[a-z]*\n(.*?)```", text, re.DOTALL)
    return blocks + re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))


def dead_links(text: str, folder: Path) -> list[str]:
    links = re.findall(r"\]\((?!https?://|#|mailto:)([^)#\s]+)", text)
    return [link for link in links if not (folder / link).exists()]


@pytest.mark.parametrize("path", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_document__commands_and_links__exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert unknown(text, commands=set(get_commands()), goals=targets()) == []
    assert dead_links(text, path.parent) == []


def test_readme__two_commands__stand_first() -> None:
    first_block = _code((ROOT / "README.md").read_text(encoding="utf-8"))[0]

    assert re.findall(r"^make \w+", first_block, re.MULTILINE) == ["make demo", "make test"]


def test_files__none__name_a_path_of_somebodys_machine() -> None:
    found = []
    for path in tracked():
        if not path.is_file() or path.suffix in {".png", ".woff2", ".ico", ".gz"} or path == Path(__file__):
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        found += [f"{path.relative_to(ROOT)}: {match[0]}" for match in MACHINE.finditer(text)]

    assert found == []


def test_unknown__commands_that_do_not_exist__are_named() -> None:
    text = "Run `make dmeo`, then\n```\nmake test\npython manage.py undo_all\n```\n"

    assert unknown(text, commands={"migrate"}, goals={"demo", "test"}) == ["make dmeo", "manage.py undo_all"]


def test_dead_links__a_file_that_is_not_there__is_named(tmp_path: Path) -> None:
    (tmp_path / "here.md").touch()

    assert dead_links("[a](here.md) [b](gone.md) [c](https://example.com)", tmp_path) == ["gone.md"]


def test_machine__a_home_folder__is_noticed() -> None:
    assert [match[0] for match in MACHINE.finditer("see " + "/ho" + "me/ada/x.py and ./home/page")] == [
        "/ho" + "me/ada"
    ]
