"""What the catalogue contributes to a ruleset: surfaces, audiences, and the facts of items that rules concern."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from django.db.models import Func, Q, QuerySet, TextField
from django.db.models.fields.json import KeyTransform

from controlplane.catalog import selectors
from controlplane.catalog.models import Item
from controlplane.core.fragments import SHARED, Entry, Fragment, surface_section
from controlplane.engine.conditions import Predicate, compile_condition, condition_attributes

SOURCE: Final = "catalog"
_FACT_COLUMNS: Final = ("item_id", "attributes", "signals", "available", "regions", "deleted_at")
_LOOKUPS: Final = {"$gte": "gte", "$gt": "gt", "$lte": "lte", "$lt": "lt", "$eq": "exact"}


def fragment(environment: str, at: datetime) -> Fragment:
    """The surfaces and audiences live in the environment. A surface's fallback chain is resolved into its fallback."""
    surfaces = {
        pointer.record.key: pointer.version.content for pointer in selectors.live_surfaces(environment)
    }
    return Fragment(
        SOURCE,
        [*(_surface(key, surfaces) for key in surfaces), *_audiences(environment)],
    )


def _surface(key: str, surfaces: Mapping[str, Mapping[str, Any]]) -> Entry:
    content = surfaces[key]
    chain = [other for other in content["fallback_chain"] if other in surfaces]
    fallback = dict.fromkeys(item for one in (key, *chain) for item in surfaces[one]["fallback"])
    body = {
        "key": key,
        "kind": content["kind"],
        "slots": content["slots"],
        "fallback": list(fallback),
        "sensitive": content["sensitive"],
        "minors": content["minors"],
        "log_rate": content["log_rate"],
    }
    refs = [("item", item) for item in fallback] + [("surface", other) for other in content["fallback_chain"]]
    return Entry(surface_section(key), "surface", key, body, tuple(refs))  # type: ignore[arg-type]


def _audiences(environment: str) -> Iterator[Entry]:
    for pointer in selectors.live_audiences(environment):
        condition = pointer.version.content["condition"]
        body = {"version": pointer.version.number, "condition": condition}
        refs = tuple(("attribute", name) for name in sorted(condition_attributes(condition)))
        yield Entry(SHARED, "audiences", pointer.record.key, body, refs)  # type: ignore[arg-type]


def facts(
    environment: str, item_ids: Iterable[str], conditions: Iterable[Any] = ()
) -> dict[str, dict[str, Any]]:
    """Item id -> what the engine judges it by, for the items named and for every item that one of the conditions matches.

    Conditions are item conditions as guardrails carry them; a threshold is `{"signals.toxicity": {"$gte": 0.8}}`.
    Named ids that are unknown are absent from the answer. Deleted items are unavailable. Private attributes are left
    out unless a condition reads them. Items are shared by environments, so `environment` does not narrow the answer.
    """
    wanted = list(conditions)
    private = selectors.private_attributes("item") - frozenset(
        name.partition(".")[0] for condition in wanted for name in condition_attributes(condition)
    )
    found = {
        row["item_id"]: _fact(row, private)
        for row in Item.objects.filter(item_id__in=set(item_ids)).values(*_FACT_COLUMNS)
    }
    for row in _restricted(wanted):
        found.setdefault(row["item_id"], _fact(row, private))
    return dict(sorted(found.items()))


def _fact(row: Mapping[str, Any], private: frozenset[str]) -> dict[str, Any]:
    fact: dict[str, Any] = {
        "available": row["available"] and row["deleted_at"] is None,
        "signals": row["signals"],
        "attributes": {name: value for name, value in row["attributes"].items() if name not in private},
    }
    if row["regions"] is not None:
        fact["regions"] = row["regions"]
    return fact


def _restricted(conditions: Sequence[Any]) -> Iterator[dict[str, Any]]:
    """Rows of the present items that a condition matches; PostgreSQL narrows, the engine's own predicate decides."""
    for condition in conditions:
        matches: Predicate = compile_condition(condition, strict=True)
        for row in _candidates(condition).values(*_FACT_COLUMNS).iterator(chunk_size=2_000):
            subject = {
                **row["attributes"],
                "id": row["item_id"],
                "available": row["available"],
                "signals": row["signals"],
            }
            if matches(subject):
                yield row


def _candidates(condition: Any) -> QuerySet[Item]:
    """Present items the condition may match: narrowed by one of its tests that PostgreSQL can answer, if there is one."""
    rows = Item.objects.filter(deleted_at__isnull=True)
    for part in (condition or {}, *_conjuncts(condition)):
        for name, test in part.items():
            for narrow in (_by_signal, _by_text):
                narrowed = narrow(rows, str(name), test)
                if narrowed is not None:
                    return narrowed
    return rows


def _conjuncts(condition: Any) -> Iterator[Mapping[str, Any]]:
    parts = condition.get("$and", ()) if isinstance(condition, Mapping) else ()
    yield from (part for part in parts if isinstance(part, Mapping))


def _by_signal(rows: QuerySet[Item], name: str, test: Any) -> QuerySet[Item] | None:
    """Items within the bounds on one signal. A missing signal may compare like zero: it stays for the predicate to judge."""
    signal = name.removeprefix("signals.")
    if signal == name or "." in signal or not isinstance(test, Mapping):
        return None
    bounds = Q()
    for operator, bound in test.items():
        if operator in _LOOKUPS and isinstance(bound, int | float) and not isinstance(bound, bool):
            bounds &= Q(**{f"signal__{_LOOKUPS[operator]}": bound})
    if not bounds:
        return None
    return rows.alias(signal=KeyTransform(signal, "signals")).filter(bounds | Q(signal__isnull=True))


def _by_text(rows: QuerySet[Item], name: str, test: Any) -> QuerySet[Item] | None:
    """Items whose attribute is one of the texts, or no text at all: those stay for the predicate to judge."""
    wanted = test
    if isinstance(test, Mapping):
        wanted = test.get("$in", test.get("$eq"))
    texts = wanted if isinstance(wanted, list) else [wanted]
    if "." in name or name.startswith("$") or name in {"id", "available", "signals"} or not texts:
        return None
    if not all(isinstance(one, str) and one not in {"", "null", "undefined"} for one in texts):
        return None
    return rows.alias(
        value=KeyTransform(name, "attributes"),
        kind=Func(KeyTransform(name, "attributes"), function="jsonb_typeof", output_field=TextField()),
    ).filter(Q(value__in=texts) | (Q(kind__isnull=False) & ~Q(kind="string")))
