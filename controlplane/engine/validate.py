"""Is a ruleset document fit to be published? Shapes, references and rules that would silently never act.

`check_document` reads the linked artefact itself, not the records it came from. docs/schemas/ruleset-v1.json states the
same shapes for other languages; what a schema cannot say (digests, references, sums, order) stands only here.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

from controlplane.engine.bodies import Body
from controlplane.engine.checks import (
    Check,
    Field,
    check_object,
    condition,
    flag,
    identifier,
    instant,
    listed,
    mapped,
    number,
    object_of,
    one_of,
    ranges,
    text,
    texts,
    whole,
    windows,
)
from controlplane.engine.problems import Problem
from controlplane.engine.ranges import width
from controlplane.engine.schema import (
    ACTIONS,
    COMPARISONS,
    KINDS,
    LAW_VERSION,
    MISSING,
    SCHEMA_VERSION,
    SURFACE_PREFIX,
    SWITCHES,
    digest,
)

WHOLE = 10_000

ARM: Mapping[str, Field] = {
    "key": Field(identifier, required=True),
    "weight": Field(whole(0, WHOLE), required=True),
    "ranges": Field(ranges, required=True),
    "parameters": Field(mapped(None)),
}
FILTER: Mapping[str, Field] = {
    "seed": Field(text, required=True),
    "ranges": Field(ranges, required=True),
    "attribute": Field(identifier),
}
EXPERIMENT: Mapping[str, Field] = {
    "key": Field(identifier, required=True),
    "version": Field(whole(1), required=True),
    "phase": Field(whole(1), required=True),
    "salt": Field(identifier, required=True),
    "hash_attribute": Field(identifier, required=True),
    "hash_version": Field(one_of((2,)), required=True),
    "coverage": Field(whole(0, WHOLE), required=True),
    "arms": Field(listed(object_of(ARM)), required=True),
    "condition": Field(condition, nullable=True),
    "audience": Field(identifier, nullable=True),
    "filters": Field(listed(object_of(FILTER))),
    "windows": Field(windows),
    "sticky": Field(flag),
}
WHEN: Mapping[str, Field] = {
    "condition": Field(condition, nullable=True),
    "audience": Field(identifier, nullable=True),
}
OVERRIDE: Mapping[str, Field] = {
    "key": Field(identifier, required=True),
    "version": Field(whole(1), required=True),
    "type": Field(one_of(KINDS), required=True),
    "items": Field(texts),
    "condition": Field(condition, nullable=True),
    "position": Field(whole(1), nullable=True),
    "factor": Field(number, nullable=True),
    "when": Field(object_of(WHEN)),
    "windows": Field(windows),
    "priority": Field(whole()),
    "must_match_filters": Field(flag),
    "temporary": Field(flag),
    "updated_at": Field(instant, nullable=True),
}
GUARDRAIL: Mapping[str, Field] = {
    "key": Field(identifier, required=True),
    "version": Field(whole(1), required=True),
    "action": Field(one_of(ACTIONS), required=True),
    "signal": Field(identifier, nullable=True),
    "op": Field(one_of(COMPARISONS), nullable=True),
    "threshold": Field(number, nullable=True),
    "missing": Field(one_of(MISSING)),
    "condition": Field(condition, nullable=True),
    "factor": Field(number, nullable=True),
    "min_age": Field(number, nullable=True),
    "max_share": Field(whole(0, WHOLE), nullable=True),
    "regions": Field(texts, nullable=True),
    "status": Field(one_of(("live", "shadow"))),
    "windows": Field(windows),
}
SWITCH: Mapping[str, Field] = {
    "key": Field(identifier, required=True),
    "version": Field(whole(1), required=True),
    "kind": Field(one_of(SWITCHES), required=True),
    "items": Field(texts),
    "rule": Field(text, nullable=True),
    "surfaces": Field(texts),
    "reason": Field(text),
}
AUDIENCE: Mapping[str, Field] = {
    "version": Field(whole(1), required=True),
    "condition": Field(condition, required=True, nullable=True),
}
FACTS: Mapping[str, Field] = {
    "available": Field(flag),
    "signals": Field(mapped(number)),
    "attributes": Field(mapped(None)),
    "regions": Field(texts, nullable=True),
}
ABOUT: Mapping[str, Field] = {
    "key": Field(identifier, required=True),
    "kind": Field(text, required=True),
    "slots": Field(whole(0), required=True),
    "fallback": Field(texts, required=True),
    "sensitive": Field(flag),
    "minors": Field(flag),
    "log_rate": Field(whole(0, WHOLE)),
}
MANIFEST: Mapping[str, Field] = {
    "schema": Field(one_of((SCHEMA_VERSION,)), required=True),
    "law": Field(one_of((LAW_VERSION,)), required=True),
    "environment": Field(identifier, required=True),
    "revision": Field(whole(0), required=True),
    "previous": Field(whole(0), nullable=True),
    "issued_at": Field(instant),
    "sections": Field(mapped(text), required=True),
    "key_id": Field(text),
    "signature": Field(text),
}
Rules = Callable[[Body, str], Iterator[Problem]]


def check_document(document: object) -> list[Problem]:
    """Everything wrong with a ruleset document, each with its path, message and remedy; empty when it is fit."""
    if not isinstance(document, Mapping):
        return [Problem("", "not a JSON object", "send {manifest, sections}")]
    return list(_document(document))


def _document(document: Body) -> Iterator[Problem]:
    for name in document:
        if name not in ("manifest", "sections"):
            yield Problem(str(name), "unknown field", "a document holds manifest and sections")
    manifest, sections = document.get("manifest"), document.get("sections")
    yield from check_object(MANIFEST, manifest, "manifest")
    if not isinstance(sections, Mapping):
        yield Problem("sections", "missing or not an object", 'send {"shared": {...}}')
        return
    if "shared" not in sections:
        yield Problem("sections.shared", "missing", "every document holds the shared section")
    stated = manifest.get("sections") if isinstance(manifest, Mapping) else None
    for name, section in sections.items():
        yield from _section(str(name), section, sections)
        yield from _digest(str(name), section, stated if isinstance(stated, Mapping) else {})


def _digest(name: str, section: object, stated: Body) -> Iterator[Problem]:
    path = f"sections.{name}"
    if name not in stated:
        yield Problem(
            path, "the manifest does not name this section", "state its digest in manifest.sections"
        )
        return
    try:
        actual = digest(section)
    except (TypeError, ValueError, RecursionError) as error:
        yield Problem(path, f"not canonical JSON: {error}", "use finite numbers and text keys")
        return
    if actual != stated[name]:
        yield Problem(f"manifest.sections.{name}", "differs from the section's digest", f"state {actual}")


def _section(name: str, section: object, sections: Body) -> Iterator[Problem]:
    path = f"sections.{name}"
    if not isinstance(section, Mapping):
        yield Problem(path, "not an object", "send the section's records")
        return
    shared = sections.get("shared")
    audiences = shared.get("audiences") if isinstance(shared, Mapping) else None
    known = audiences if isinstance(audiences, Mapping) else {}
    if name == "shared":
        fields = {"audiences": Field(mapped(object_of(AUDIENCE)), required=True), **_LISTS["shared"]}
    elif name.startswith(SURFACE_PREFIX) and len(name) > len(SURFACE_PREFIX):
        fields = {
            "surface": Field(object_of(ABOUT), required=True),
            "facts": Field(mapped(object_of(FACTS)), required=True),
            **_LISTS["surface"],
        }
        about = section.get("surface")
        if isinstance(about, Mapping) and SURFACE_PREFIX + str(about.get("key")) != name:
            yield Problem(
                f"{path}.surface.key", "not the section's surface", f"write {name[len(SURFACE_PREFIX) :]}"
            )
    else:
        yield Problem(path, "unknown section", "sections are shared and surface:<key>")
        return
    yield from check_object(fields, section, path)
    yield from _records(section, path, known)
    yield from _repeated_experiments(name, section, shared)


def _repeated_experiments(name: str, section: Body, shared: object) -> Iterator[Problem]:
    if name == "shared" or not isinstance(shared, Mapping):
        return
    everywhere = set(_keys(shared.get("experiments")))
    for at, key in enumerate(_keys(section.get("experiments"))):
        if key in everywhere:
            path = f"sections.{name}.experiments[{at}].key"
            yield Problem(
                path, f"{key} stands in shared already", "an experiment stands in shared or in surfaces"
            )


def _keys(records: object) -> list[object]:
    if not isinstance(records, (list, tuple)):
        return []
    return [record.get("key") if isinstance(record, Mapping) else None for record in records]


def _records(section: Body, path: str, audiences: Body) -> Iterator[Problem]:
    for name, rules in _RULES.items():
        records = section.get(name)
        if not isinstance(records, (list, tuple)):
            continue
        yield from _order(_keys(records), f"{path}.{name}")
        for at, record in enumerate(records):
            if isinstance(record, Mapping):
                here = f"{path}.{name}[{at}]"
                yield from rules(record, here)
                yield from _audience(record, here, audiences)


def _order(keys: Sequence[object], path: str) -> Iterator[Problem]:
    texts_only = [key for key in keys if isinstance(key, str)]
    for at, key in enumerate(keys):
        if isinstance(key, str) and key in keys[:at]:
            yield Problem(f"{path}[{at}].key", f"{key} occurs twice", "keys are unique in a section")
    if texts_only != sorted(texts_only):
        yield Problem(path, "not sorted by key", "sort the records by key")


def _audience(record: Body, path: str, audiences: Body) -> Iterator[Problem]:
    when = record.get("when")
    places = [(record, path), (when, f"{path}.when")]
    for body, here in places:
        key = body.get("audience") if isinstance(body, Mapping) else None
        if isinstance(key, str) and key not in audiences:
            yield Problem(
                f"{here}.audience", f"there is no audience {key}", "name an audience of the shared section"
            )


def _experiment(record: Body, path: str) -> Iterator[Problem]:
    arms = record.get("arms")
    if not isinstance(arms, (list, tuple)):
        return
    bodies = [arm for arm in arms if isinstance(arm, Mapping)]
    if len(bodies) < 2:
        yield Problem(f"{path}.arms", "fewer than two arms", "compare at least two")
    if len({str(key) for key in _keys(bodies)}) < len(bodies):
        yield Problem(f"{path}.arms", "two arms have the same key", "keys of arms are unique")
    weights = [arm.get("weight") for arm in bodies]
    total = sum(weight for weight in weights if isinstance(weight, int))
    if total != WHOLE:
        yield Problem(f"{path}.arms", f"the weights sum to {total}", f"they must sum to {WHOLE}")
    taken: list[tuple[int, int]] = []
    for at, arm in enumerate(bodies):
        here = f"{path}.arms[{at}].ranges"
        if list(ranges(arm.get("ranges"), here)):
            continue
        for low, high in arm["ranges"]:
            if any(low < end and start < high for start, end in taken):
                yield Problem(
                    here, f"[{low}, {high}) overlaps another arm's range", "give every bucket one arm"
                )
            taken.append((low, high))
    if bodies and taken and width(taken) == 0 and record.get("coverage") != 0:
        yield Problem(f"{path}.arms", "no arm holds a bucket", "lay the ranges out from weights and coverage")


def _override(record: Body, path: str) -> Iterator[Problem]:
    kind, factor = record.get("type"), record.get("factor")
    if kind == "pin" and not record.get("items"):
        yield Problem(f"{path}.items", "a pin names at least one item", "list the items to pin")
    if (
        kind in ("boost", "bury", "hide", "require")
        and not record.get("items")
        and not record.get("condition")
    ):
        yield Problem(
            f"{path}.items", f"a {kind} names no items and has no condition", "say what it is about"
        )
    if kind == "boost" and not (isinstance(factor, (int, float)) and factor > 1):
        yield Problem(f"{path}.factor", "a boost's factor is above 1", "write 1.5 for half as much again")
    if kind == "bury" and not (isinstance(factor, (int, float)) and 0 < factor < 1):
        yield Problem(f"{path}.factor", "a bury's factor lies between 0 and 1", "write 0.5 for half")


def _guardrail(record: Body, path: str) -> Iterator[Problem]:
    action = record.get("action")
    if record.get("signal") is None and record.get("condition") is None:
        yield Problem(f"{path}.signal", "neither signal nor condition", "say which items it concerns")
    if isinstance(record.get("signal"), str):
        for name in ("op", "threshold"):
            if record.get(name) is None:
                yield Problem(f"{path}.{name}", "missing beside a signal", "say from which value on it acts")
    needed = {"age_gate": "min_age", "region_block": "regions", "slate_cap": "max_share"}.get(str(action))
    if needed is not None and not record.get(needed) and record.get(needed) != 0:
        yield Problem(f"{path}.{needed}", f"missing for {action}", f"state {needed}")
    factor = record.get("factor")
    if action == "demote" and not (isinstance(factor, (int, float)) and 0 < factor < 1):
        yield Problem(f"{path}.factor", "a demotion's factor lies between 0 and 1", "write 0.5 for half")


def _switch(record: Body, path: str) -> Iterator[Problem]:
    kind, rule = record.get("kind"), record.get("rule")
    if kind == "block_items" and not record.get("items"):
        yield Problem(f"{path}.items", "blocks no item", "list the items to block")
    if kind == "disable_rule" and not (
        isinstance(rule, str)
        and rule.partition(":")[0] in ("override", "experiment")
        and rule.partition(":")[2]
    ):
        yield Problem(f"{path}.rule", "names no rule", "write override:<key> or experiment:<key>")


_RULES: Mapping[str, Rules] = {
    "experiments": _experiment,
    "overrides": _override,
    "guardrails": _guardrail,
    "kill_switches": _switch,
}
_SHAPES: Mapping[str, Check] = {
    "experiments": listed(object_of(EXPERIMENT)),
    "overrides": listed(object_of(OVERRIDE)),
    "guardrails": listed(object_of(GUARDRAIL)),
    "kill_switches": listed(object_of(SWITCH)),
}
_LISTS: Mapping[str, Mapping[str, Field]] = {
    "shared": {name: Field(_SHAPES[name], required=True) for name in ("experiments", "kill_switches")},
    "surface": {
        name: Field(_SHAPES[name], required=True) for name in ("experiments", "overrides", "guardrails")
    },
}
