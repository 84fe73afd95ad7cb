"""Judges of the linked artefact, listed in `RULESET_CHECKS`: `check(document) -> Iterable[Finding]`.

A finding names the body it is about by `section`, `kind` and `key` in its evidence; an error so attributed keeps the
source of that body at its last good fragment.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from controlplane.core.findings import Finding, Severity
from controlplane.engine.validate import check_document
from controlplane.rulesets.fragments import SHARED, SURFACE_PREFIX

LISTS = "experiments|overrides|guardrails|kill_switches"
_LISTED = re.compile(rf"^sections\.(?P<section>.+?)\.(?P<kind>{LISTS})\[(?P<index>\d+)\]")
_AUDIENCE = re.compile(r"^sections\.shared\.audiences\.(?P<key>[^\s]+?)(?:\.(?:version|condition)\b.*)?$")
_SURFACE = re.compile(r"^sections\.surface:(?P<key>.+?)\.surface\b")

Document = Mapping[str, Any]


def schema(document: Document) -> Iterator[Finding]:
    """Every problem the engine sees in the document, as an error of the rule it stands in."""
    for problem in check_document(document):
        place = _place(problem.path, document["sections"])
        remedy = f" ({problem.remedy})" if problem.remedy else ""
        yield Finding(
            code="invalid_ruleset",
            severity=Severity.ERROR,
            subject=":".join(place.values()) if place else "rulesets.document",
            message=f"{problem.path}: {problem.message}{remedy}.",
            evidence={**place, "path": problem.path, "remedy": problem.remedy},
        )


def _place(path: str, sections: Mapping[str, Any]) -> dict[str, str]:
    """Section, kind and key of the body a path leads into; empty when it leads into none."""
    if found := _LISTED.match(path):
        body = sections[found["section"]][found["kind"]][int(found["index"])]
        return {"section": found["section"], "kind": found["kind"], "key": str(body.get("key", ""))}
    if found := _SURFACE.match(path):
        return {"section": SURFACE_PREFIX + found["key"], "kind": "surface", "key": found["key"]}
    if path.startswith("sections.shared.audiences.") and (found := _AUDIENCE.match(path)):
        key = next((key for key in sections[SHARED]["audiences"] if path[26:].startswith(key)), found["key"])
        return {"section": SHARED, "kind": "audiences", "key": key}
    return {}


def dangling(document: Document) -> Iterator[Finding]:
    """Warnings about names that lead nowhere: items without facts, switched-off rules and surfaces that are not there."""
    sections = document["sections"]
    for name, section in sections.items():
        if name == SHARED:
            yield from _switches(section, sections)
            continue
        facts = section["facts"]
        for kind, body in _naming(section):
            missing = sorted({item for item in _items(body) if isinstance(item, str) and item not in facts})
            if missing:
                key = str(body.get("key", ""))
                yield Finding(
                    code="unknown_items",
                    severity=Severity.WARNING,
                    subject=f"{kind}:{key}",
                    message=f"{kind} {key} names items the catalogue does not know; they will not be shown:"
                    f" {_few(missing)}.",
                    evidence={"section": name, "kind": kind, "key": key, "items": missing[:100]},
                )


def _naming(section: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield ("surface", section["surface"])
    yield from (("overrides", body) for body in section["overrides"])


def _items(body: Mapping[str, Any]) -> Iterable[Any]:
    for name in ("items", "fallback"):
        value = body.get(name)
        if isinstance(value, list | tuple):
            yield from value


def _few(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _switches(shared: Mapping[str, Any], sections: Mapping[str, Any]) -> Iterator[Finding]:
    rules = {
        f"{kind.rstrip('s')}:{body.get('key')}"
        for section in sections.values()
        for kind in ("experiments", "overrides")
        for body in section.get(kind, ())
    }
    for switch in shared["kill_switches"]:
        key, rule = str(switch.get("key", "")), switch.get("rule")
        missing = [
            f"surface {each}"
            for each in switch.get("surfaces", ())
            if SURFACE_PREFIX + str(each) not in sections
        ]
        missing += [f"rule {rule}"] if switch.get("kind") == "disable_rule" and rule not in rules else []
        if missing:
            yield Finding(
                code="switch_without_object",
                severity=Severity.WARNING,
                subject=f"kill_switches:{key}",
                message=f"kill switch {key} names what is not live here: {_few(missing)}.",
                evidence={"section": SHARED, "kind": "kill_switches", "key": key, "missing": missing},
            )
