"""Migrations are hand-named, linear, complete."""

import re
from collections import Counter
from io import StringIO

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader

OURS = ("controlplane", "experiments", "overrides", "governance")
NAME = re.compile(r"^\d{4}_[a-z][a-z0-9_]+$")
MACHINE_MADE = re.compile(
    r"_auto_|_and_more|^\d{4}_(alter|rename|remove|delete|add)_[a-z0-9]+_[a-z0-9_]+_and_", re.ASCII
)

Graph = dict[str, list[tuple[str, tuple[str, ...]]]]


def our_graph() -> Graph:
    """App -> its migrations with the names, in the same app, that each depends on."""
    loader = MigrationLoader(None, ignore_no_migrations=True)
    labels = {config.label for config in apps.get_app_configs() if config.name.startswith(OURS)}
    graph: Graph = {}
    for (label, name), migration in sorted(loader.disk_migrations.items()):
        if label in labels:
            inside = tuple(needed for app, needed in migration.dependencies if app == label)
            graph.setdefault(label, []).append((name, inside))
    return graph


def faults(graph: Graph) -> list[str]:
    found = []
    for label, migrations in graph.items():
        followed = Counter(needed for _, needs in migrations for needed in needs)
        for name, needs in migrations:
            if not NAME.fullmatch(name) or MACHINE_MADE.search(name):
                found.append(f"{label}.{name}: give it a name that says what it does")
            if len(needs) > 1:
                found.append(f"{label}.{name}: merges {len(needs)} branches")
        found += [
            f"{label}.{name}: {count} migrations follow it" for name, count in followed.items() if count > 1
        ]
        if sum(1 for _, needs in migrations if not needs) > 1:
            found.append(f"{label}: more than one first migration")
        numbers = [name[:4] for name, _ in migrations]
        found += [
            f"{label}: number {number} twice" for number, count in Counter(numbers).items() if count > 1
        ]
    return found


def test_migrations__as_committed__are_named_and_linear() -> None:
    graph = our_graph()

    assert "core" in graph
    assert faults(graph) == []


@pytest.mark.django_db
def test_migrations__models_as_committed__need_no_further_one() -> None:
    out = StringIO()

    call_command("makemigrations", check=True, dry_run=True, stdout=out, stderr=out)

    assert out.getvalue() == "No changes detected\n"
    assert MigrationLoader(connection).detect_conflicts() == {}


@pytest.mark.parametrize(
    ("graph", "fault"),
    [
        ({"a": [("0001_auto_20260101", ())]}, "a.0001_auto_20260101: give it a name that says what it does"),
        (
            {
                "a": [
                    ("0001_initial", ()),
                    ("0002_second", ("0001_initial",)),
                    ("0003_third", ("0001_initial",)),
                ]
            },
            "a.0001_initial: 2 migrations follow it",
        ),
        ({"a": [("0001_first", ()), ("0002_second", ())]}, "a: more than one first migration"),
        ({"a": [("0001_first", ()), ("0001_again", ("0001_first",))]}, "a: number 0001 twice"),
    ],
)
def test_faults__a_broken_history__is_named(graph: Graph, fault: str) -> None:
    assert faults(graph) == [fault]
