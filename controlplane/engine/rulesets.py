"""One ruleset revision in memory: verified when it is taken in, compiled surface by surface when first asked."""

from collections.abc import Mapping

from controlplane.engine.bodies import (
    Body,
    bodies_in,
    object_in,
    text_in,
    texts_in,
    whole_in,
)
from controlplane.engine.conditions import Predicate, compile_condition
from controlplane.engine.experiments import Experiment
from controlplane.engine.guardrails import Guardrails
from controlplane.engine.overrides import Overrides
from controlplane.engine.problems import RulesetError
from controlplane.engine.requests import NOTHING
from controlplane.engine.schema import (
    LAW_VERSION,
    SCHEMA_VERSION,
    SURFACE_PREFIX,
    digest,
    manifest_digest,
)
from controlplane.engine.subjects import Switches


class Surface:
    """Everything the law needs to decide for one surface. `known` is false when the ruleset does not hold it."""

    __slots__ = (
        "experiments",
        "facts",
        "fallback",
        "guardrails",
        "key",
        "kind",
        "known",
        "log_rate",
        "minors",
        "overrides",
        "sensitive",
        "slots",
        "switches",
    )

    def __init__(self, key: str, shared: Body, section: Body | None) -> None:
        body = NOTHING if section is None else section
        about = object_in(body, "surface")
        self.key = key
        self.known = section is not None
        self.kind = text_in(about, "kind")
        self.slots = max(0, whole_in(about, "slots"))
        self.fallback = tuple(dict.fromkeys(texts_in(about, "fallback")))
        self.sensitive = about.get("sensitive") is True
        self.minors = about.get("minors") is True
        self.log_rate = whole_in(about, "log_rate")
        self.facts = object_in(body, "facts")
        self.switches = Switches(shared, key)
        self.overrides = Overrides(bodies_in(body, "overrides"))
        self.guardrails = Guardrails(bodies_in(body, "guardrails"))
        self.experiments = _experiments(shared, body)

    def facts_of(self, item: str) -> Body | None:
        """The compiled facts of an item, if the control plane knows it on this surface."""
        facts = self.facts.get(item)
        if type(facts) is dict or facts is None:
            return facts
        return facts if isinstance(facts, Mapping) else None


def _experiments(shared: Body, section: Body) -> tuple[Experiment, ...]:
    found = {}
    for body in (shared, section):
        for one in bodies_in(body, "experiments"):
            experiment = Experiment(one)
            found[experiment.key] = experiment
    return tuple(found[key] for key in sorted(found))


class Ruleset:
    """An immutable revision. Reading it is safe from any thread; a surface compiled twice is compiled the same."""

    def __init__(self, manifest: Body, sections: Mapping[str, Body]) -> None:
        self.manifest = manifest
        self.environment = text_in(manifest, "environment")
        self.revision = whole_in(manifest, "revision")
        self.digest = manifest_digest(manifest)
        self._sections = sections
        self._shared = sections["shared"]
        self._audiences: dict[str, Predicate | None] = {}
        self._surfaces: dict[str, Surface] = {}

    @classmethod
    def from_document(cls, document: object, *, verify: bool = True) -> "Ruleset":
        """Takes in a ruleset document (see docs/contract.md, section 4).

        Every section present must be named by the manifest and have the digest it states; the manifest may name
        sections that this document does not hold. `verify=False` skips recomputing digests, for bytes that were
        verified before. Raises RulesetError with the path and what is wrong.
        """
        if not isinstance(document, Mapping):
            raise RulesetError("", "the document is not a JSON object")
        manifest = document.get("manifest")
        if not isinstance(manifest, Mapping):
            raise RulesetError("manifest", "missing or not an object")
        _check_manifest(manifest)
        sections = document.get("sections")
        if not isinstance(sections, Mapping):
            raise RulesetError("sections", "missing or not an object")
        if "shared" not in sections:
            raise RulesetError("sections.shared", "missing")
        for name, section in sections.items():
            _check_section(name, section, object_in(manifest, "sections"), verify=verify)
        return cls(manifest, sections)

    @property
    def surfaces(self) -> tuple[str, ...]:
        """Keys of the surfaces this ruleset holds, sorted."""
        return tuple(
            sorted(
                name.removeprefix(SURFACE_PREFIX)
                for name in self._sections
                if name.startswith(SURFACE_PREFIX)
            )
        )

    def surface(self, key: str) -> Surface:
        """The rules of a surface, compiled at first use. An unknown surface has the shared rules only."""
        compiled = self._surfaces.get(key)
        if compiled is None:
            compiled = Surface(key, self._shared, self._sections.get(SURFACE_PREFIX + key))
            if compiled.known:
                self._surfaces[key] = compiled
        return compiled

    def audience(self, key: str) -> Predicate | None:
        """The predicate of a named audience; None when there is no such audience."""
        if key not in self._audiences:
            body = object_in(self._shared, "audiences").get(key)
            if not isinstance(body, Mapping):
                return None
            self._audiences[key] = compile_condition(body.get("condition"))
        return self._audiences[key]


def _check_manifest(manifest: Body) -> None:
    schema = manifest.get("schema")
    if schema != SCHEMA_VERSION:
        raise RulesetError(
            "manifest.schema", f"{schema!r} is not the schema this engine reads, {SCHEMA_VERSION}"
        )
    law = manifest.get("law")
    if law != LAW_VERSION:
        raise RulesetError("manifest.law", f"{law!r} is not the law this engine follows, {LAW_VERSION}")
    if not isinstance(manifest.get("environment"), str):
        raise RulesetError("manifest.environment", "missing or not text")
    revision = manifest.get("revision")
    if isinstance(revision, bool) or not isinstance(revision, int) or revision < 0:
        raise RulesetError("manifest.revision", "missing or not a whole number")
    if not isinstance(manifest.get("sections"), Mapping):
        raise RulesetError("manifest.sections", "missing or not an object")


def _check_section(name: object, section: object, stated: Body, *, verify: bool) -> None:
    path = f"sections.{name}"
    if not isinstance(name, str) or name not in stated:
        raise RulesetError(path, "the manifest does not name this section")
    if not isinstance(section, Mapping):
        raise RulesetError(path, "not an object")
    if not verify:
        return
    try:
        actual = digest(section)
    except (TypeError, ValueError, RecursionError) as error:
        raise RulesetError(path, f"not canonical JSON: {error}") from None
    if actual != stated[name]:
        raise RulesetError(path, f"digest {actual} differs from the manifest's {stated[name]}")
