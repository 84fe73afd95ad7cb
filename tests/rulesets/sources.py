"""Small sources for the tests of publishing: rules as rows of one table, written by operations of four lines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from django.db import connection, transaction

from controlplane.rulesets.fragments import EVERY_SURFACE, SHARED, Entry, Fragment, Kind, surface_section

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
HERE = __name__
SETTINGS = [f"{HERE}.{name}" for name in ("catalog", "overrides", "guardrails", "switches")]
KINDS: Mapping[str, Kind] = {
    "catalog": "surface",
    "overrides": "overrides",
    "guardrails": "guardrails",
    "switches": "kill_switches",
}


def make_table() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE IF NOT EXISTS test_rules (source text, key text, section text, body jsonb,"
            " PRIMARY KEY (source, key))"
        )
        cursor.execute("DELETE FROM test_rules")


def put(source: str, key: str, section: str, body: Mapping[str, Any]) -> None:
    """Save one rule, in a transaction of its own."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO test_rules VALUES (%s, %s, %s, %s) ON CONFLICT (source, key)"
            " DO UPDATE SET section = excluded.section, body = excluded.body",
            [source, key, section, json.dumps(body)],
        )


def remove(source: str, key: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM test_rules WHERE source = %s AND key = %s", [source, key])


def _fragment(source: str) -> Fragment:
    with connection.cursor() as cursor:
        cursor.execute("SELECT section, key, body FROM test_rules WHERE source = %s ORDER BY key", [source])
        rows = cursor.fetchall()
    return Fragment(source, (_entry(source, *row) for row in rows))


def _entry(source: str, section: str, key: str, body: str) -> Entry:
    content = json.loads(body)
    if content.get("raises"):
        raise RuntimeError(content["raises"])
    items = tuple(("item", item) for item in content.get("items", ()))
    return Entry(section, KINDS[source], key, content, items)  # type: ignore[arg-type]


def catalog(environment: str, at: datetime) -> Fragment:
    return _fragment("catalog")


def overrides(environment: str, at: datetime) -> Fragment:
    return _fragment("overrides")


def guardrails(environment: str, at: datetime) -> Fragment:
    return _fragment("guardrails")


def switches(environment: str, at: datetime) -> Fragment:
    return _fragment("switches")


def facts(environment: str, items: Iterable[str], conditions: Iterable[Any]) -> dict[str, Any]:
    """Every item but `ghost` exists."""
    return {
        item: {"available": True, "signals": {"toxicity": 0.1}, "attributes": {}}
        for item in sorted(items)
        if item != "ghost"
    }


def surface(key: str, **changes: Any) -> None:
    body = {"key": key, "kind": "home-feed", "slots": 4, "fallback": [], **changes}
    put("catalog", key, surface_section(key), body)


def boost(key: str, factor: float = 1.5, *, section: str = EVERY_SURFACE, **changes: Any) -> None:
    body = {"key": key, "version": 1, "type": "boost", "items": ["a"], "factor": factor, **changes}
    put("overrides", key, section, body)


def guardrail(key: str, threshold: float = 0.8, **changes: Any) -> None:
    body = {
        "key": key,
        "version": 1,
        "action": "block",
        "signal": "toxicity",
        "op": ">=",
        "threshold": threshold,
        **changes,
    }
    put("guardrails", key, EVERY_SURFACE, body)


def switch(key: str, items: Iterable[str] = ("a",)) -> None:
    put(
        "switches",
        key,
        SHARED,
        {
            "key": key,
            "version": 1,
            "kind": "block_items",
            "items": list(items),
            "surfaces": [],
            "reason": "r",
        },
    )
