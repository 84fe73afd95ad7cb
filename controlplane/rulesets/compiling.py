"""From the live records of all sources to one linked, checked artefact. What is broken stays at its last good state."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction
from django.utils.module_loading import import_string

from controlplane.core.findings import Finding, Severity
from controlplane.engine.schema import LAW_VERSION, SCHEMA_VERSION
from controlplane.rulesets import selectors
from controlplane.rulesets.fragments import Fragment
from controlplane.rulesets.linker import Linked, Place, link, wanted
from controlplane.rulesets.models import Revision, RevisionFragment
from controlplane.rulesets.selectors import Contribution

log = structlog.get_logger(__name__)
Source = Callable[[str, datetime], Fragment]
ROUNDS = 4
STALE = RevisionFragment.Standing.STALE


@dataclass(frozen=True, slots=True)
class Compiled:
    """What would be published: fragments, the artefact, findings, and the held sources that have something newer to say.

    `unfit` says why the artefact must not be published at all; empty when it may.
    """

    contributions: Mapping[str, Contribution]
    linked: Linked
    findings: tuple[Finding, ...]
    waiting: tuple[str, ...] = ()
    unfit: str = ""


def compile_environment(
    environment: str, *, at: datetime, head: Revision | None, released: Iterable[int] = ()
) -> Compiled:
    """Ask every source, put held ones back, link, check. Call it inside a transaction; it writes nothing.

    A source that raises, or whose fragment makes the artefact unfit, keeps its fragment of the head and raises a
    finding. `released` are holds to leave out of account.
    """
    last_good = selectors.contributions(head)
    held = selectors.held_back(environment, released=released)
    current, findings = _ask_sources(environment, at, last_good)
    waiting = tuple(
        sorted(
            source
            for source, back in held.items()
            if source in current and current[source].fragment.digest != back.fragment.digest
        )
    )
    compiled = settle(environment, {**current, **held}, last_good=last_good, head=head)
    return replace(compiled, findings=(*findings, *compiled.findings), waiting=waiting)


def _ask_sources(
    environment: str, at: datetime, last_good: Mapping[str, Contribution]
) -> tuple[dict[str, Contribution], list[Finding]]:
    found: dict[str, Contribution] = {}
    findings: list[Finding] = []
    for provider in settings.RULESET_SOURCES:
        try:
            with transaction.atomic():
                source: Source = import_string(provider)
                fragment = source(environment, at)
                _ = fragment.digest  # what has no canonical JSON fails here, as its own source's failure
            if fragment.source in found:
                raise ValueError(f"another source is named {fragment.source}")
        except Exception as error:  # whatever a source does, the others are published
            log.exception("source_failed", provider=provider, environment=environment)
            findings.append(_source_failed(provider, error))
            was = next((one for one in last_good.values() if one.provider == provider), None)
            if was is not None and was.fragment.source not in found:
                found[was.fragment.source] = replace(was, standing=STALE)
            continue
        found[fragment.source] = Contribution(provider, fragment)
    return found, findings


def _source_failed(provider: str, error: Exception) -> Finding:
    return Finding(
        code="source_failed",
        severity=Severity.ERROR,
        subject=f"rulesets.source:{provider}",
        message=f"{provider} could not be compiled ({type(error).__name__}: {error}); its last good state is served.",
        evidence={"provider": provider, "error": type(error).__name__},
    )


def settle(
    environment: str,
    given: Mapping[str, Contribution],
    *,
    last_good: Mapping[str, Contribution],
    head: Revision | None,
    facts: Mapping[str, Mapping[str, Any]] | None = None,
) -> Compiled:
    """Link and check; put sources that have errors back to their last good fragment, or else drop what is wrong.

    facts: None asks the catalogue, falling back to those of the head.
    """
    findings: list[Finding] = []
    known = selectors.known_attributes()
    standing = dict(given)
    if facts is None:
        facts, failed = _facts(environment, [*standing.values(), *last_good.values()], head)
        findings += failed
    for attempt in range(ROUNDS):
        linked = link((one.fragment for one in standing.values()), facts=facts, attributes=known)
        found = [*linked.findings, *_check(environment, linked, head)]
        errors = [finding for finding in found if finding.severity is Severity.ERROR]
        if not errors:
            return Compiled(standing, linked, (*findings, *found))
        findings += errors
        blamed = {source for finding in errors if (source := _source_of(finding, linked))}
        if not blamed:
            return Compiled(standing, linked, (*findings, *found), unfit=errors[0].message)
        for source in blamed:
            standing[source] = _better(source, standing[source], errors, linked, last_good, attempt)
    linked = link((one.fragment for one in standing.values()), facts=facts, attributes=known)
    return Compiled(standing, linked, tuple(findings), unfit="errors remain after every source was put back")


def _source_of(finding: Finding, linked: Linked) -> str | None:
    """The linker names the source itself; a check names a place in the artefact."""
    origin = linked.blamed(finding)
    named: str | None = finding.evidence.get("source")
    return named or (origin.source if origin else None)


def _better(
    source: str,
    present: Contribution,
    errors: Iterable[Finding],
    linked: Linked,
    last_good: Mapping[str, Contribution],
    attempt: int,
) -> Contribution:
    """The last good fragment where it differs; otherwise the present one without the entries that are wrong."""
    was = last_good.get(source)
    if attempt == 0 and was is not None and was.fragment.digest != present.fragment.digest:
        return replace(was, provider=present.provider or was.provider, standing=STALE)
    if attempt >= ROUNDS - 1:
        return replace(present, fragment=Fragment(source), standing=STALE)
    wrong = {_place(finding, linked) for finding in errors if _source_of(finding, linked) == source}
    kept = (entry for entry in present.fragment.entries if entry.place not in wrong)
    return replace(present, fragment=Fragment(source, kept), standing=STALE)


def _place(finding: Finding, linked: Linked) -> Place:
    """Where the entry stood in its fragment, before rules of every surface were written into each."""
    evidence = finding.evidence
    origin = None if "source" in evidence else linked.blamed(finding)
    return origin.entry.place if origin else (evidence["section"], evidence["kind"], evidence["key"])


def _facts(
    environment: str, standing: Iterable[Contribution], head: Revision | None
) -> tuple[dict[str, Mapping[str, Any]], list[Finding]]:
    """Facts of what the fragments name or restrict; those of the head when the catalogue cannot say."""
    needs = wanted(one.fragment for one in standing)
    try:
        with transaction.atomic():
            return dict(import_string(settings.RULESET_FACTS)(environment, needs.items, needs.conditions)), []
    except Exception as error:  # facts an hour old are better than no ruleset
        log.exception("facts_failed", environment=environment)
        return selectors.compiled_facts(head), [_source_failed(settings.RULESET_FACTS, error)]


def _check(environment: str, linked: Linked, head: Revision | None) -> list[Finding]:
    """What the checks of the settings say about the artefact, each finding under the name of the record it is about."""
    number = head.number if head else 0
    artefact = {
        "manifest": {
            "schema": SCHEMA_VERSION,
            "law": LAW_VERSION,
            "environment": environment,
            "revision": number + 1,
            "previous": number,
            "sections": linked.digests,
        },
        "sections": linked.sections,
    }
    found: list[Finding] = []
    for path in settings.RULESET_CHECKS:
        try:
            found += import_string(path)(artefact)
        except Exception as error:  # a broken judge must not stop the post
            log.exception("check_failed", check=path, environment=environment)
            found.append(
                Finding(
                    code="check_failed",
                    severity=Severity.WARNING,
                    subject=f"rulesets.check:{path}",
                    message=f"The check {path} could not be made ({type(error).__name__}: {error}).",
                )
            )
    return [
        replace(finding, subject=origin.subject) if (origin := linked.blamed(finding)) else finding
        for finding in found
    ]
