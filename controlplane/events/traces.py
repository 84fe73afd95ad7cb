"""Does a record speak of this person? Pure rules of erasure, for raw bytes, decoded records and rows of the lake."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc


@dataclass(frozen=True, slots=True)
class Person:
    """Whom to erase: an environment's user id, and the anonymous ids that identify events tie to nobody else."""

    environment: str
    user_id: str
    anonymous_ids: frozenset[str] = frozenset()

    @property
    def names(self) -> frozenset[str]:
        return self.anonymous_ids | {self.user_id}


def belongs_to(event: dict[str, Any], person: Person) -> bool:
    """Is this the person's own event: under their user id, or under an anonymous id of theirs and no user id?"""
    units = event.get("unit_ids")
    if not isinstance(units, dict):
        return False
    user = units.get("user")
    return user == person.user_id or (user is None and units.get("anonymous") in person.anonymous_ids)


def mentions(value: object, names: Collection[str]) -> bool:
    """Is one of `names` a string, or a key, anywhere in a decoded JSON value?"""
    stack = [value]
    while stack:
        node = stack.pop()
        if isinstance(node, str):
            if node in names:
                return True
        elif isinstance(node, dict):
            stack += node.keys()
            stack += node.values()
        elif isinstance(node, list):
            stack += node
    return False


def raw_mentions(raw: bytes, names: Collection[str]) -> bool:
    """The same for bytes that may be no JSON: then any place where the name stands as a word of its own counts."""
    try:
        return mentions(orjson.loads(raw), names)
    except ValueError:
        return any(re.search(rb"(?<!\w)" + re.escape(name.encode()) + rb"(?!\w)", raw) for name in names)


def without_mentions(event: dict[str, Any], names: Collection[str]) -> dict[str, Any]:
    """Somebody else's event, with those free documents left out that mention one of `names`."""
    return {
        field: value
        for field, value in event.items()
        if field not in ("properties", "request") or not mentions(value, names)
    }


def own_rows(batch: pa.RecordBatch, person: Person) -> pa.BooleanArray:
    """Which rows of the lake are the person's own."""
    anonymous = pa.array(sorted(person.anonymous_ids), pa.string())
    user = batch.column("user_id")
    by_user = pc.fill_null(pc.equal(user, person.user_id), fill_value=False)
    by_anonymous = pc.and_(pc.is_null(user), pc.is_in(batch.column("anonymous_id"), value_set=anonymous))
    here = pc.equal(batch.column("environment"), person.environment)
    return pc.and_(here, pc.or_(by_user, by_anonymous))


def mentioning(documents: pa.StringArray, person: Person) -> pa.BooleanArray:
    """Which JSON documents name the person; the lake spells its documents itself, so one spelling is enough."""
    found = pa.array([False] * len(documents), pa.bool_())
    for name in sorted(person.names):
        token = orjson.dumps(name).decode()
        found = pc.or_(found, pc.fill_null(pc.match_substring(documents, token), fill_value=False))
    return found


def erase_rows(batch: pa.RecordBatch, person: Person) -> pa.RecordBatch:
    """The batch without the person's rows and without documents of others that name them."""
    kept = batch.filter(pc.invert(own_rows(batch, person)))
    here = pc.equal(kept.column("environment"), person.environment)
    for name in ("properties", "request"):
        documents = kept.column(name)
        named = pc.and_(here, mentioning(documents, person))
        cleaned = pc.if_else(named, pa.scalar(None, pa.string()), documents)
        kept = kept.set_column(kept.schema.get_field_index(name), kept.schema.field(name), cleaned)
    return kept
