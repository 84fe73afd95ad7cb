"""The newest revisions in memory, and the documents made of them: complete, compressed, with their entity tags."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import brotli
import zstandard

from controlplane.core.canonical import canonical_json
from controlplane.core.fragments import SHARED, SURFACE_PREFIX
from controlplane.rulesets.negotiation import ENCODINGS, IDENTITY

HEADS_QUERY = """
    SELECT head.environment, revision.id, revision.number, revision.manifest
    FROM rulesets_head head JOIN rulesets_revision revision ON revision.id = head.revision_id
"""
SECTIONS_QUERY = """
    SELECT part.name, section.body
    FROM rulesets_revisionsection part JOIN rulesets_section section ON section.digest = part.section_id
    WHERE part.revision_id = %s AND section.digest <> ALL(%s)
"""
COMMON = [
    (b"vary", b"Accept-Encoding, Authorization"),
    (b"cache-control", b"private, no-cache"),
]
Headers = list[tuple[bytes, bytes]]


class Damaged(ValueError):
    """Content that is not what its digest says."""


@dataclass(frozen=True, slots=True)
class HeadState:
    """One environment's head: its manifest and the canonical text of every section."""

    environment: str
    number: int
    manifest: Mapping[str, Any]
    sections: Mapping[str, str]

    def check(self) -> None:
        """Raises Damaged when a section is missing or differs from its digest."""
        for name, digest in self.manifest["sections"].items():
            text = self.sections.get(name)
            if text is None or hashlib.sha256(text.encode()).hexdigest() != digest:
                raise Damaged(f"section {name} of {self.environment} {self.number} is damaged")

    @property
    def surfaces(self) -> frozenset[str]:
        """Keys of the surfaces it holds."""
        return frozenset(
            name.removeprefix(SURFACE_PREFIX) for name in self.manifest["sections"] if name != SHARED
        )

    def by_digest(self) -> dict[str, str]:
        """Section texts by digest."""
        return {digest: self.sections[name] for name, digest in self.manifest["sections"].items()}

    def to_json(self) -> dict[str, Any]:
        return {
            "environment": self.environment,
            "number": self.number,
            "manifest": dict(self.manifest),
            "sections": dict(self.sections),
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> HeadState:
        state = cls(stored["environment"], stored["number"], stored["manifest"], stored["sections"])
        state.check()
        return state


@dataclass(frozen=True, slots=True)
class Variant:
    """A document in one encoding. `headers` are those of a 200, `unchanged` those of a 304."""

    body: bytes
    etag: bytes
    headers: Headers
    unchanged: Headers


@dataclass(frozen=True, slots=True)
class Document:
    """What a token gets: the manifest, the shared section and those of its surfaces, in every encoding."""

    number: int
    variants: Mapping[str, Variant]


def document_bytes(head: HeadState, surfaces: frozenset[str] | None) -> bytes:
    """The document as JSON. `surfaces` of None means all."""
    wanted = head.surfaces if surfaces is None else head.surfaces & surfaces
    names = [SHARED, *(SURFACE_PREFIX + key for key in sorted(wanted))]
    parts = (canonical_json(name) + b":" + head.sections[name].encode() for name in names)
    return b'{"manifest":' + canonical_json(head.manifest) + b',"sections":{' + b",".join(parts) + b"}}"


def build(head: HeadState, surfaces: frozenset[str] | None) -> Document:
    """Write and compress a document. Takes tens of milliseconds for a large one: not on the event loop."""
    body = document_bytes(head, surfaces)
    tag = hashlib.sha256(body).hexdigest()[:32]
    bodies = {
        "br": brotli.compress(body, quality=5),
        "zstd": zstandard.ZstdCompressor(level=9).compress(body),
        "gzip": gzip.compress(body, 6, mtime=0),
        IDENTITY: body,
    }
    return Document(head.number, {name: _variant(bodies[name], tag, name) for name in ENCODINGS})


def _variant(body: bytes, tag: str, encoding: str) -> Variant:
    """A strong tag names bytes, so each encoding has its own."""
    etag = f'"{tag}"' if encoding == IDENTITY else f'"{tag}-{encoding}"'
    unchanged = [(b"etag", etag.encode()), *COMMON]
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        *unchanged,
    ]
    if encoding != IDENTITY:
        headers.append((b"content-encoding", encoding.encode()))
    return Variant(body, etag.encode(), headers, unchanged)


class Heads:
    """Heads by environment with the documents built from them. A head and its documents are swapped together."""

    def __init__(self) -> None:
        self._states: dict[str, HeadState] = {}
        self._documents: dict[tuple[str, frozenset[str] | None], Document] = {}

    @property
    def states(self) -> Mapping[str, HeadState]:
        return self._states

    def numbers(self) -> dict[str, int]:
        """Environment to revision number."""
        return {environment: state.number for environment, state in sorted(self._states.items())}

    def surfaces(self, environment: str) -> frozenset[str] | None:
        """Surface keys of the environment's head; None when there is no head."""
        state = self._states.get(environment)
        return state.surfaces if state else None

    def ready(self, environment: str, surfaces: frozenset[str] | None) -> Document | None:
        """The document, if it has been built."""
        return self._documents.get((environment, surfaces))

    def prepare(
        self, states: Mapping[str, HeadState], readers: Iterable[tuple[str, frozenset[str] | None]]
    ) -> dict[tuple[str, frozenset[str] | None], Document]:
        """Build what readers will ask for, keeping what is still right. Touches nothing: safe in a thread."""
        built: dict[tuple[str, frozenset[str] | None], Document] = {}
        for environment, surfaces in readers:
            state = states.get(environment)
            if state is None:
                continue
            same = self._states.get(environment) is state
            present = self._documents.get((environment, surfaces)) if same else None
            built[environment, surfaces] = present or build(state, surfaces)
        return built

    def swap(
        self,
        states: Mapping[str, HeadState],
        documents: Mapping[tuple[str, frozenset[str] | None], Document],
    ) -> None:
        """Serve these from now on."""
        self._states, self._documents = dict(states), dict(documents)

    def add(self, environment: str, surfaces: frozenset[str] | None, document: Document) -> None:
        """Keep a document built on demand, unless the head has moved on since."""
        state = self._states.get(environment)
        if state is not None and state.number == document.number:
            self._documents[environment, surfaces] = document
