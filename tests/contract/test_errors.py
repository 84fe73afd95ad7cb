"""The error catalogue: every refusal has one code, words for people, and an entry in docs/errors.md."""

import importlib
import pkgutil
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import controlplane
import experiments
import governance
import overrides
from controlplane.core.errors import DomainError

CATALOGUE = Path(__file__).resolve().parents[2] / "docs" / "errors.md"
NOT_IMPORTED = re.compile(r"\.migrations(\.|$)|^controlplane\.(asgi|serve|embedded\.launch)")


def all_modules() -> Iterator[str]:
    for package in (controlplane, experiments, governance, overrides):
        yield package.__name__
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            if not NOT_IMPORTED.search(module.name):
                yield module.name


def subclasses(of: type[DomainError]) -> Iterator[type[DomainError]]:
    for child in of.__subclasses__():
        yield child
        yield from subclasses(child)


def documented(text: str) -> dict[str, str]:
    """Code -> sentence, from the table rows `| `code` | status | what it means |`."""
    return {
        match["code"]: match["meaning"].strip()
        for match in re.finditer(
            r"^\| `(?P<code>[a-z_]+)` \| \d{3} \|(?P<meaning>[^|]+)\|", text, re.MULTILINE
        )
    }


def faults(errors: Iterable[type[DomainError]], catalogue: dict[str, str]) -> list[str]:
    """What is wrong with these errors, or with the catalogue that should hold them."""
    found = []
    owner: dict[str, type[DomainError]] = {}
    for error in errors:
        name = f"{error.__module__}.{error.__name__}"
        if not re.fullmatch(r"[a-z][a-z0-9_]*", error.code):
            found.append(f"{name}: code {error.code!r} is not snake_case")
        if "code" not in vars(error) and error.__bases__[0] is DomainError:
            found.append(f"{name}: has no code of its own")
        first = owner.setdefault(error.code, error)
        if first is not error and not issubclass(error, first):
            found.append(f"{name}: code {error.code} belongs to {first.__name__}")
        if not error.title or not error.__doc__:
            found.append(f"{name}: says nothing to people")
        if error.code not in catalogue:
            found.append(f"{name}: {error.code} is not in docs/errors.md")
    return found


def test_errors__as_committed__are_all_in_the_catalogue() -> None:
    for module in all_modules():
        importlib.import_module(module)
    errors = [error for error in subclasses(DomainError) if not error.__module__.startswith("tests.")]

    assert len(errors) >= 6
    assert faults(errors, documented(CATALOGUE.read_text(encoding="utf-8"))) == []


def test_catalogue__names_a_code_nobody_raises__is_stale() -> None:
    for module in all_modules():
        importlib.import_module(module)
    raised = {error.code for error in subclasses(DomainError)} | {
        "error",
        "not_authenticated",
        "method_not_allowed",
        "body_too_large",
    }
    raised |= {"precondition_required", "throttled", "unsupported_media_type", "not_acceptable", "internal"}
    raised |= {"body_too_large"}

    assert set(documented(CATALOGUE.read_text(encoding="utf-8"))) - raised == set()


class Undocumented(DomainError):
    """A refusal for this test."""

    code = "tests_only"
    title = "Only here"


class Wordless(DomainError):
    code = "Not Snake"
    title = ""


def test_faults__an_error_outside_the_catalogue__is_named() -> None:
    assert faults([Undocumented], {}) == [f"{__name__}.Undocumented: tests_only is not in docs/errors.md"]


def test_faults__two_errors_with_one_code__are_named() -> None:
    class Twin(DomainError):
        """Another with the same code."""

        code = "tests_only"
        title = "Again"

    assert faults([Undocumented, Twin], {"tests_only": "x"}) == [
        f"{__name__}.Twin: code tests_only belongs to Undocumented"
    ]


def test_faults__a_wordless_error__is_named_for_each_fault() -> None:
    found = faults([Wordless], {})

    assert [fault.partition(": ")[2] for fault in found] == [
        "code 'Not Snake' is not snake_case",
        "says nothing to people",
        "Not Snake is not in docs/errors.md",
    ]
