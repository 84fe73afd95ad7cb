"""Ruleset documents for tests: sections in, a document with a manifest that names their digests out."""

from collections.abc import Mapping
from typing import Any

from controlplane.engine import Candidate, Request, Ruleset
from controlplane.engine.ranges import arm_ranges
from controlplane.engine.schema import LAW_VERSION, SCHEMA_VERSION, digest

AT = "2026-11-23T10:00:00Z"
Json = dict[str, Any]


def shared_section(**parts: Any) -> Json:
    return {"audiences": {}, "experiments": [], "kill_switches": [], **parts}


def surface_section(key: str = "home", **parts: Any) -> Json:
    about = {"key": key, "kind": "home-feed", "slots": 0, "fallback": []}
    about.update(parts.pop("surface", {}))
    return {"surface": about, "experiments": [], "overrides": [], "guardrails": [], "facts": {}, **parts}


def document(shared: Json | None = None, *surfaces: Json, revision: int = 1) -> Json:
    sections = {"shared": shared or shared_section()}
    sections.update({f"surface:{surface['surface']['key']}": surface for surface in surfaces})
    manifest = {
        "schema": SCHEMA_VERSION,
        "law": LAW_VERSION,
        "environment": "production",
        "revision": revision,
        "previous": revision - 1,
        "issued_at": AT,
        "sections": {name: digest(section) for name, section in sections.items()},
    }
    return {"manifest": manifest, "sections": sections}


def ruleset(shared: Json | None = None, *surfaces: Json, revision: int = 1) -> Ruleset:
    return Ruleset.from_document(document(shared, *surfaces, revision=revision))


def experiment(key: str = "ranker", *, weights: tuple[int, ...] = (5000, 5000), **parts: Any) -> Json:
    coverage = parts.get("coverage", 10_000)
    laid_out = arm_ranges(weights, coverage)
    arms = [
        {"key": name, "weight": weight, "ranges": spans, "parameters": {"ranker": name}}
        for name, weight, spans in zip("abcdefgh", weights, laid_out, strict=False)
    ]
    return {
        "key": key,
        "version": 1,
        "phase": 1,
        "salt": f"{key}:1",
        "hash_attribute": "user",
        "hash_version": 2,
        "coverage": coverage,
        "arms": arms,
        "condition": None,
        "audience": None,
        "filters": [],
        "windows": [],
        **parts,
    }


def override(key: str, kind: str, *items: str, **parts: Any) -> Json:
    return {
        "key": key,
        "version": 1,
        "type": kind,
        "items": list(items),
        "condition": None,
        "when": {"condition": None, "audience": None},
        "windows": [],
        "priority": 0,
        "must_match_filters": True,
        "temporary": False,
        "updated_at": AT,
        **parts,
    }


def guardrail(key: str, action: str = "block", **parts: Any) -> Json:
    return {
        "key": key,
        "version": 1,
        "action": action,
        "signal": "toxicity",
        "op": ">=",
        "threshold": 0.8,
        "missing": "skip",
        "condition": None,
        "status": "live",
        "windows": [],
        **parts,
    }


def request(*candidates: str | Candidate, surface: str = "home", user: str = "u1", **parts: Any) -> Request:
    """Candidates given as text get falling scores, so that they rank in the order given."""
    items = tuple(
        candidate if isinstance(candidate, Candidate) else Candidate(candidate, 1.0 - at / 100)
        for at, candidate in enumerate(candidates)
    )
    context: Mapping[str, object] = parts.pop("context", {})
    units: Mapping[str, object] = parts.pop("unit_ids", {"user": user})
    return Request(surface, parts.pop("at", AT), units, context, items, **parts)
