"""Writing a revision: sections, fragments, manifest, head and notice, in the running transaction, under the lock."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import connection

from controlplane.core import open_findings
from controlplane.core.canonical import canonical_json
from controlplane.core.errors import Conflict
from controlplane.core.findings import Finding
from controlplane.engine.schema import LAW_VERSION, SCHEMA_VERSION
from controlplane.rulesets import signing
from controlplane.rulesets.compiling import Compiled
from controlplane.rulesets.models import (
    Head,
    Revision,
    RevisionFragment,
    RevisionSection,
    Section,
    StoredFragment,
)

CHANNEL = "ruleset_head"
FINDINGS = "rulesets.publish"


@dataclass(frozen=True, slots=True)
class Published:
    """Which revision is the head after a publish, and whether this publish made it.

    revision: 0 when there is none yet. waiting: held sources with newer content, saved and not served.
    """

    environment: str
    revision: int
    changed: bool
    waiting: tuple[str, ...] = ()


def commit(
    environment: str, compiled: Compiled, *, head: Revision | None, cause: str, author: str, at: datetime
) -> Published:
    """Make the artefact the environment's head, unless it is what the head already says."""
    if compiled.unfit or (head is not None and _says_the_same(head, compiled)):
        return Published(environment, head.number if head else 0, changed=False, waiting=compiled.waiting)
    number = head.number + 1 if head else 1
    manifest = signing.manifest(
        environment=environment,
        number=number,
        previous=head.number if head else 0,
        at=at,
        sections=compiled.linked.digests,
        key=settings.KEYS_DIR / "ruleset.ed25519",
    )
    revision = Revision.objects.create(
        environment=environment,
        number=number,
        previous=manifest["previous"],
        manifest=manifest,
        digest=signing.manifest_digest(manifest),
        cause=cause[:200],
        author=author[:160],
        at=at,
    )
    _store_sections(revision, compiled)
    _store_fragments(revision, compiled)
    _move_head(environment, revision, head, at)
    with connection.cursor() as cursor:
        notice = json.dumps({"environment": environment, "revision": number})
        cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, notice])
    return Published(environment, number, changed=True, waiting=compiled.waiting)


def _says_the_same(head: Revision, compiled: Compiled) -> bool:
    manifest = head.manifest
    versions = (manifest["schema"], manifest["law"])
    return versions == (SCHEMA_VERSION, LAW_VERSION) and manifest["sections"] == compiled.linked.digests


def _store_sections(revision: Revision, compiled: Compiled) -> None:
    linked = compiled.linked
    known = set(
        Section.objects.filter(digest__in=list(linked.digests.values())).values_list("digest", flat=True)
    )
    bodies = {linked.digests[name]: body for name, body in linked.sections.items()}
    Section.objects.bulk_create(
        (
            Section(digest=digest, body=canonical_json(body).decode())
            for digest, body in bodies.items()
            if digest not in known
        ),
        ignore_conflicts=True,
    )
    RevisionSection.objects.bulk_create(
        RevisionSection(revision=revision, name=name, section_id=digest)
        for name, digest in linked.digests.items()
    )


def _store_fragments(revision: Revision, compiled: Compiled) -> None:
    digests = {source: one.fragment.digest for source, one in compiled.contributions.items()}
    known = set(
        StoredFragment.objects.filter(digest__in=list(digests.values())).values_list("digest", flat=True)
    )
    StoredFragment.objects.bulk_create(
        (
            StoredFragment(
                digest=digest, body=canonical_json(compiled.contributions[source].fragment.to_json()).decode()
            )
            for source, digest in digests.items()
            if digest not in known
        ),
        ignore_conflicts=True,
    )
    RevisionFragment.objects.bulk_create(
        RevisionFragment(
            revision=revision,
            source=source,
            provider=one.provider,
            fragment_id=digests[source],
            standing=one.standing,
        )
        for source, one in compiled.contributions.items()
    )


def _move_head(environment: str, revision: Revision, head: Revision | None, at: datetime) -> None:
    """Compare and set: should the lock's session have died, the second of two publishers fails here."""
    if head is None:
        Head.objects.create(environment=environment, revision=revision, since=at)
        return
    moved = Head.objects.filter(environment=environment, revision=head).update(revision=revision, since=at)
    if not moved:
        raise Conflict(f"The head of {environment} moved while revision {revision.number} was written.")


def report(environment: str, findings: Iterable[Finding], *, at: datetime) -> None:
    """Make the open findings of publishing be these, one for each code and subject."""
    first: dict[tuple[str, str], Finding] = {}
    for finding in findings:
        first.setdefault((finding.code, finding.subject), finding)
    open_findings.replace(FINDINGS, first.values(), at=at, environment=environment)
