"""Linking: the fragments of all sources become the sections of one ruleset. Pure, and blind to the order of its input."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from controlplane.core.canonical import canonical_json, digest
from controlplane.core.findings import Finding, Severity
from controlplane.engine.conditions import compile_condition
from controlplane.engine.problems import ConditionError
from controlplane.rulesets.fragments import (
    EVERY_SURFACE,
    SHARED,
    SURFACE_PREFIX,
    Entry,
    Fragment,
    surface_section,
)

SHARED_KINDS = frozenset({"audiences", "experiments", "kill_switches"})
SURFACE_KINDS = frozenset({"surface", "experiments", "overrides", "guardrails"})
COMPARISONS = {">=": "$gte", ">": "$gt", "<=": "$lte", "<": "$lt", "==": "$eq", "!=": "$ne"}
SINGULAR = {
    "experiments": "experiment",
    "overrides": "override",
    "guardrails": "guardrail",
    "kill_switches": "killswitch",
    "audiences": "audience",
    "surface": "surface",
}

Body = Mapping[str, Any]
Place = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Placed:
    """One entry and the source that wrote it."""

    source: str
    entry: Entry

    @property
    def subject(self) -> str:
        """Name of the record, as audit events and pages use it."""
        return f"{self.source}.{SINGULAR.get(self.entry.kind, self.entry.kind)}:{self.entry.key}"


@dataclass(frozen=True, slots=True)
class Linked:
    """Sections by name, their digests, what was found on the way, and which source each body came from."""

    sections: dict[str, dict[str, Any]]
    digests: dict[str, str]
    findings: tuple[Finding, ...]
    origins: Mapping[Place, Placed] = field(default_factory=dict)

    def blamed(self, finding: Finding) -> Placed | None:
        """The entry a finding speaks of by `section`, `kind` and `key` in its evidence."""
        evidence = finding.evidence
        place = (evidence.get("section", ""), evidence.get("kind", ""), evidence.get("key", ""))
        return self.origins.get(place)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which items facts are needed of: those named, and those that guardrails' conditions would restrict."""

    items: frozenset[str]
    conditions: tuple[Body, ...]


def wanted(fragments: Iterable[Fragment]) -> Wanted:
    """What to ask the catalogue for before linking."""
    items: set[str] = set()
    conditions: dict[bytes, Body] = {}
    for fragment in fragments:
        for entry in fragment.entries:
            items.update(_named_items(entry))
            if entry.kind == "guardrails" and (condition := restriction(entry.body)):
                conditions[canonical_json(condition)] = condition
    return Wanted(frozenset(items), tuple(conditions[spelling] for spelling in sorted(conditions)))


def restriction(guardrail: Body) -> Body | None:
    """The item condition under which a guardrail acts, its signal's threshold included. None when it names neither."""
    signal, operator = guardrail.get("signal"), COMPARISONS.get(str(guardrail.get("op", ">=")))
    condition: Body | None = guardrail.get("condition") or None
    if not signal or not operator or guardrail.get("threshold") is None:
        return condition
    threshold: Body = {f"signals.{signal}": {operator: guardrail["threshold"]}}
    if condition is None:
        return threshold
    # One flat object lets the catalogue narrow by the threshold.
    return (
        {"$and": [threshold, condition]}
        if threshold.keys() & condition.keys()
        else {**threshold, **condition}
    )


def link(
    fragments: Iterable[Fragment],
    *,
    facts: Mapping[str, Body],
    attributes: frozenset[str] | None = None,
) -> Linked:
    """One artefact from all fragments.

    facts: of the items `wanted` named or restricts, by item id. attributes: names the dictionary knows; None skips
    that check. An entry that cannot stand (a duplicate, a rule for an unknown surface or audience) is left out and
    reported; what remains is a document that clients accept.
    """
    placed = sorted(
        (Placed(fragment.source, entry) for fragment in fragments for entry in fragment.entries),
        key=lambda one: (one.entry.place, one.source, canonical_json(one.entry.body)),
    )
    findings: list[Finding] = []
    fitting = [one for one in placed if _fits(one, findings)]
    surfaces = sorted({one.entry.key for one in fitting if one.entry.kind == "surface"})
    audiences = {one.entry.key for one in fitting if one.entry.kind == "audiences"}
    standing = [one for one in fitting if _stands(one, surfaces, audiences, findings)]
    findings += _unknown_attributes(standing, attributes)
    by_place = _expand(standing, surfaces, findings)
    sections = {SHARED: _shared(by_place)}
    for key in surfaces:
        sections[surface_section(key)] = _surface(surface_section(key), by_place, facts)
    return Linked(
        sections=sections,
        digests={name: digest(body) for name, body in sections.items()},
        findings=tuple(sorted(findings, key=lambda found: (found.code, found.subject, found.message))),
        origins=by_place,
    )


def _fits(one: Placed, findings: list[Finding]) -> bool:
    """Whether an entry's kind belongs into the section it names."""
    section, kind, key = one.entry.place
    is_surface = section.startswith(SURFACE_PREFIX)
    allowed = SURFACE_KINDS if is_surface else SHARED_KINDS if section == SHARED else frozenset[str]()
    right_name = kind != "surface" or section == surface_section(key)
    if kind not in allowed or not right_name:
        message = f"{kind} {key} cannot stand in the section {section}"
    elif kind != "audiences" and one.entry.body.get("key") != key:
        message = f"{kind} {key} has a body with another key, {one.entry.body.get('key')!r}"
    else:
        return True
    findings.append(_finding("misplaced_entry", Severity.ERROR, one, message))
    return False


def _stands(one: Placed, surfaces: Iterable[str], audiences: Iterable[str], findings: list[Finding]) -> bool:
    """Whether the surface and the audience an entry depends on exist. Without its audience a rule applies to nobody."""
    section = one.entry.section
    stands = True
    named = [("surface", section.removeprefix(SURFACE_PREFIX))] if section.startswith(SURFACE_PREFIX) else []
    known = {"surface": set(surfaces) | {"*"}, "audience": set(audiences)}
    for name, key in dict.fromkeys([*named, *one.entry.refs]):
        if name in known and key not in known[name]:
            findings.append(
                _finding(
                    "dangling_reference",
                    Severity.WARNING,
                    one,
                    f"{one.entry.kind} {one.entry.key} names the {name} {key}, which does not exist here",
                    missing=f"{name}:{key}",
                )
            )
            stands = stands and not _needs(one.entry, name, key)
    return stands


def _needs(entry: Entry, name: str, key: str) -> bool:
    """Whether the entry could only ever apply by way of what is missing."""
    if name == "audience":
        return True
    return entry.section == surface_section(key)


def _unknown_attributes(standing: Iterable[Placed], attributes: frozenset[str] | None) -> Iterator[Finding]:
    if attributes is None:
        return
    for one in standing:
        for name, key in one.entry.refs:
            if name == "attribute" and key not in attributes:
                yield _finding(
                    "dangling_reference",
                    Severity.WARNING,
                    one,
                    f"{one.entry.kind} {one.entry.key} reads the attribute {key}, which the dictionary does not know",
                    missing=f"attribute:{key}",
                )


def _expand(
    standing: Iterable[Placed], surfaces: Iterable[str], findings: list[Finding]
) -> dict[Place, Placed]:
    """Every body at its final place; the first of several claims to one place stands, the others are reported."""
    by_place: dict[Place, Placed] = {}
    seen_shared = {one.entry.key for one in standing if one.entry.place[:2] == (SHARED, "experiments")}
    for one in standing:
        section, kind, key = one.entry.place
        targets = [surface_section(each) for each in surfaces] if section == EVERY_SURFACE else [section]
        for target in targets:
            place = (target, kind, key)
            taken = by_place.get(place)
            everywhere = kind == "experiments" and section != SHARED and key in seen_shared
            if taken is None and not everywhere:
                by_place[place] = one
                continue
            other = taken.source if taken else "an experiment of the shared section"
            findings.append(
                _finding(
                    "duplicate_key",
                    Severity.ERROR,
                    one,
                    f"{kind} {key} occurs twice in {target}; {other} was linked first",
                )
            )
    return by_place


def _finding(code: str, severity: Severity, one: Placed, message: str, **evidence: str) -> Finding:
    section, kind, key = one.entry.place
    return Finding(
        code=code,
        severity=severity,
        subject=one.subject,
        message=f"{message}.",
        evidence={"source": one.source, "section": section, "kind": kind, "key": key, **evidence},
    )


def _bodies(section: str, kind: str, by_place: Mapping[Place, Placed]) -> list[dict[str, Any]]:
    found = [(place[2], one) for place, one in by_place.items() if place[:2] == (section, kind)]
    return [dict(one.entry.body) for _, one in sorted(found, key=lambda pair: pair[0])]


def _shared(by_place: Mapping[Place, Placed]) -> dict[str, Any]:
    audiences = {
        place[2]: dict(one.entry.body)
        for place, one in sorted(by_place.items(), key=lambda pair: pair[0])
        if place[:2] == (SHARED, "audiences")
    }
    return {
        "audiences": audiences,
        "experiments": _bodies(SHARED, "experiments", by_place),
        "kill_switches": _bodies(SHARED, "kill_switches", by_place),
    }


def _surface(section: str, by_place: Mapping[Place, Placed], facts: Mapping[str, Body]) -> dict[str, Any]:
    here = [one for place, one in by_place.items() if place[0] == section]
    guardrails = _bodies(section, "guardrails", by_place)
    return {
        "surface": _bodies(section, "surface", by_place)[0],
        "experiments": _bodies(section, "experiments", by_place),
        "overrides": _bodies(section, "overrides", by_place),
        "guardrails": guardrails,
        "facts": _facts(here, guardrails, facts),
    }


def _facts(
    here: Iterable[Placed], guardrails: Iterable[Body], facts: Mapping[str, Body]
) -> dict[str, dict[str, Any]]:
    """Facts of the items the section's rules name, and of those its guardrails restrict."""
    named = {item for one in here for item in _named_items(one.entry)}
    restricts = [_predicate(condition) for rail in guardrails if (condition := restriction(rail))]
    return {
        item: dict(fact)
        for item, fact in sorted(facts.items())
        if item in named or any(applies(_view(item, fact)) for applies in restricts)
    }


def _predicate(condition: Body) -> Callable[[Mapping[str, object]], bool]:
    """The condition's predicate; one that cannot be read might restrict anything."""
    try:
        return compile_condition(condition, strict=True)
    except ConditionError:
        return lambda _: True


def _view(item: str, fact: Body) -> dict[str, Any]:
    return {
        **fact.get("attributes", {}),
        "id": item,
        "available": fact.get("available", True),
        "signals": fact.get("signals", {}),
    }


def _named_items(entry: Entry) -> Iterator[str]:
    yield from (key for name, key in entry.refs if name == "item")
    for name in ("items", "fallback"):
        if entry.kind in {"overrides", "surface"} and isinstance(entry.body.get(name), list | tuple):
            yield from (item for item in entry.body[name] if isinstance(item, str))
