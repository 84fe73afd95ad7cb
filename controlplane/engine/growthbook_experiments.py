"""Running one experiment the way a GrowthBook SDK does, on a server: hashing, layers, sticky buckets, forcing.

An experiment that targets page URLs (`urlPatterns`) belongs to a browser and is never entered here.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from controlplane.engine.bodies import Body, bodies_in, list_in, object_in, text_in, whole_in
from controlplane.engine.coercion import finite, text, truthy
from controlplane.engine.conditions import Predicate, compile_condition
from controlplane.engine.hashing import gb_hash
from controlplane.engine.ranges import bucket_ranges, choose_variation, equal_weights, in_namespace
from controlplane.engine.requests import NOTHING

Point = tuple[float, float]


class Evaluation:
    """One user's evaluation of a payload: attributes, what is forced, and the sticky buckets they already have.

    `sticky` is None when the caller keeps no sticky buckets; otherwise the stored documents, of which only those of
    this user's own attributes count. New assignments are added to `sticky`; the caller stores what has changed.
    """

    __slots__ = ("attributes", "enabled", "forced", "forced_features", "qa_mode", "sticky", "url")

    def __init__(
        self,
        attributes: Body,
        *,
        forced_variations: Body = NOTHING,
        forced_features: Body = NOTHING,
        sticky: Sequence[Body] | None = None,
        url: str = "",
        enabled: bool = True,
        qa_mode: bool = False,
    ) -> None:
        self.attributes = attributes
        self.forced = forced_variations
        self.forced_features = forced_features
        self.url = url
        self.enabled = enabled
        self.qa_mode = qa_mode
        self.sticky: dict[str, dict[str, object]] | None = None
        if sticky is not None:
            self.sticky = {}
            for document in sticky:
                name, value = document.get("attributeName"), document.get("attributeValue")
                if isinstance(name, str) and text(attributes.get(name)) == value:
                    self.sticky[f"{name}||{value}"] = dict(document)

    def unit(self, attribute: str, fallback: str = "") -> tuple[str, object]:
        """The attribute that identifies the unit and its value; the fallback when the first one is empty."""
        value = self.attributes.get(attribute)
        if truthy(value):
            return attribute, value
        if fallback and truthy(self.attributes.get(fallback)):
            return fallback, self.attributes[fallback]
        return attribute, ""


class ExperimentResult(NamedTuple):
    """GrowthBook's experiment result. `bandit` holds leafId, variationWeights and banditVersion when one routed."""

    key: str
    feature_id: str | None
    in_experiment: bool
    hash_used: bool
    variation_id: int
    value: object
    hash_attribute: str
    hash_value: object
    sticky_bucket_used: bool
    name: str = ""
    bucket: float | None = None
    passthrough: bool = False
    bandit: Body = NOTHING

    def to_json(self) -> dict[str, object]:
        """The result under GrowthBook's names; optional fields only when they are set."""
        body: dict[str, object] = {
            "key": self.key,
            "featureId": self.feature_id,
            "inExperiment": self.in_experiment,
            "hashUsed": self.hash_used,
            "variationId": self.variation_id,
            "value": self.value,
            "hashAttribute": self.hash_attribute,
            "hashValue": self.hash_value,
            "stickyBucketUsed": self.sticky_bucket_used,
        }
        if self.name:
            body["name"] = self.name
        if self.bucket is not None:
            body["bucket"] = self.bucket
        if self.passthrough:
            body["passthrough"] = True
        body.update(self.bandit)
        return body


class LayerFilter(NamedTuple):
    """A filter of a rule: the unit's hash under another seed must lie in one of the ranges."""

    seed: str
    ranges: tuple[Point, ...]
    attribute: str
    hash_version: int

    def admits(self, who: Evaluation) -> bool:
        _, value = who.unit(self.attribute)
        point = gb_hash(self.seed, text(value), self.hash_version) if truthy(value) else None
        return point is not None and choose_variation(point, self.ranges) >= 0


def layer_filters(body: Body) -> tuple[LayerFilter, ...] | None:
    """The filters of a rule or experiment; None when it has none."""
    if not isinstance(body.get("filters"), (list, tuple)):
        return None
    return tuple(
        LayerFilter(
            seed=text_in(one, "seed"),
            ranges=points(one.get("ranges")),
            attribute=text_in(one, "attribute") or "id",
            hash_version=whole_in(one, "hashVersion") or 2,
        )
        for one in bodies_in(body, "filters")
    )


def points(value: object) -> tuple[Point, ...]:
    """Ranges in [0, 1]; what is no pair of numbers holds nothing, and keeps its place."""
    if not isinstance(value, (list, tuple)):
        return ()
    return tuple(_point(pair) for pair in value)


def _point(pair: object) -> Point:
    if isinstance(pair, (list, tuple)) and len(pair) == 2:
        low, high = finite(pair[0]), finite(pair[1])
        if low is not None and high is not None:
            return low, high
    return 1.0, 0.0


def numbers(value: object) -> list[float] | None:
    """A list of finite numbers; None when it is none."""
    if not isinstance(value, (list, tuple)):
        return None
    read = [finite(one) for one in value]
    return [one for one in read if one is not None] if None not in read else None


def usable_weights(weights: Sequence[float] | None, count: int) -> bool:
    """Whether the weights bucket `count` variations: one each, summing to 1 within 0.01."""
    return weights is not None and len(weights) == count and 0.99 <= sum(weights) <= 1.01


class Experiment:
    """A GrowthBook experiment, compiled once from its JSON."""

    __slots__ = (
        "body",
        "bucket_version",
        "condition",
        "fallback",
        "filters",
        "hash_attribute",
        "hash_version",
        "key",
        "meta",
        "min_bucket_version",
        "namespace",
        "parents",
        "seed",
        "sticky",
        "variations",
    )

    def __init__(self, body: Body, saved_groups: Body) -> None:
        self.body = body
        self.key = text_in(body, "key")
        self.variations = list_in(body, "variations")
        self.hash_attribute = text_in(body, "hashAttribute") or "id"
        self.fallback = text_in(body, "fallbackAttribute")
        self.hash_version = whole_in(body, "hashVersion") or 1
        self.seed = text_in(body, "seed") or self.key
        self.filters = layer_filters(body)
        namespace = body.get("namespace")
        self.namespace = namespace if isinstance(namespace, (list, tuple)) else None
        condition = body.get("condition")
        self.condition: Predicate | None = (
            compile_condition(condition, saved_groups=saved_groups) if truthy(condition) else None
        )
        self.parents = tuple(bodies_in(body, "parentConditions"))
        self.meta = tuple(one if isinstance(one, Mapping) else NOTHING for one in list_in(body, "meta"))
        self.sticky = not truthy(body.get("disableStickyBucketing"))
        self.bucket_version = whole_in(body, "bucketVersion")
        self.min_bucket_version = whole_in(body, "minBucketVersion")

    def ranges(self) -> Sequence[Point]:
        """Where each variation lies in [0, 1]."""
        if self.body.get("ranges"):
            return points(self.body.get("ranges"))
        coverage = finite(self.body.get("coverage"))
        weights = numbers(self.body.get("weights"))
        return bucket_ranges(len(self.variations), 1.0 if coverage is None else coverage, weights)

    def weights(self) -> list[float]:
        """The weights that bucket a unit: the given ones when they are usable, else equal ones."""
        given = numbers(self.body.get("weights"))
        count = len(self.variations)
        return given if given is not None and usable_weights(given, count) else equal_weights(count)

    def result(
        self,
        who: Evaluation,
        variation: int,
        feature: str | None,
        *,
        hash_used: bool = False,
        bucket: float | None = None,
        sticky_used: bool = False,
    ) -> ExperimentResult:
        """The result for a variation; an index that is none means the first variation, not in the experiment."""
        inside = 0 <= variation < len(self.variations)
        index = variation if inside else 0
        attribute, value = who.unit(self.hash_attribute, self._fallback_for(who))
        meta = self.meta[index] if index < len(self.meta) else NOTHING
        return ExperimentResult(
            key=text_in(meta, "key") or str(index),
            feature_id=feature,
            in_experiment=inside,
            hash_used=hash_used,
            variation_id=index,
            value=self.variations[index] if self.variations else None,
            hash_attribute=attribute,
            hash_value=value,
            sticky_bucket_used=sticky_used,
            name=text_in(meta, "name"),
            bucket=bucket,
            passthrough=truthy(meta.get("passthrough")),
        )

    def _fallback_for(self, who: Evaluation) -> str:
        return self.fallback if self._keeps(who) else ""

    def _keeps(self, who: Evaluation) -> bool:
        return self.sticky and who.sticky is not None

    def forced_variation(self, who: Evaluation) -> int | None:
        """A variation forced by the URL's query string or by the caller, before anything else is asked."""
        by_url = query_override(self.key, who.url, len(self.variations))
        if by_url is not None:
            return by_url
        if self.key in who.forced:
            forced = who.forced[self.key]
            return forced if isinstance(forced, int) and not isinstance(forced, bool) else -1
        return None

    def active(self) -> bool:
        """Whether the experiment runs at all."""
        return self.body.get("active") is not False and self.body.get("status") != "draft"

    def layered_out(self, who: Evaluation, unit: str) -> bool:
        """Whether a filter or, without filters, the namespace keeps the unit out."""
        if self.filters is not None:
            return not all(layer.admits(who) for layer in self.filters)
        return self.namespace is not None and not in_namespace(unit, self.namespace)

    # Sticky buckets: `attribute||value` -> {"assignments": {"<key>__<version>": "<variation key>"}}

    def sticky_variation(self, who: Evaluation) -> tuple[int, bool]:
        """The variation the unit already has (-1: none), and whether an older version blocks it from taking part."""
        if not self._keeps(who):
            return -1, False
        kept = self._assignments(who)
        if any(f"{self.key}__{version}" in kept for version in range(min(self.min_bucket_version, 10_000))):
            return -1, True
        wanted = kept.get(f"{self.key}__{self.bucket_version}")
        for index, meta in enumerate(self.meta):
            if wanted is not None and meta.get("key") == wanted:
                return index, False
        return -1, False

    def _assignments(self, who: Evaluation) -> Body:
        documents = who.sticky or {}
        found: dict[str, object] = {}
        for attribute in (self.fallback, self.hash_attribute):
            value = who.attributes.get(attribute)
            if attribute and truthy(value):
                found.update(object_in(documents.get(f"{attribute}||{text(value)}", NOTHING), "assignments"))
        return found

    def remember(self, who: Evaluation, result: ExperimentResult) -> None:
        """Adds the assignment to the unit's sticky document."""
        if who.sticky is None or not self.sticky:
            return
        value = text(result.hash_value)
        name = f"{result.hash_attribute}||{value}"
        known = object_in(who.sticky.get(name, NOTHING), "assignments")
        who.sticky[name] = {
            "attributeName": result.hash_attribute,
            "attributeValue": value,
            "assignments": {**known, f"{self.key}__{self.bucket_version}": result.key},
        }


def query_override(key: str, url: str, variations: int) -> int | None:
    """The variation a URL's query string asks for: `?<experiment key>=<index>`.

    >>> query_override("exp", "https://example.com/?exp=1#top", 2)
    1
    """
    _, _, query = url.partition("?")
    for pair in query.partition("#")[0].split("&"):
        name, _, value = pair.partition("=")
        if name == key:
            digits = value[: len(value) - len(value.lstrip("0123456789"))]
            if digits and len(digits) < 9 and int(digits) < variations:
                return int(digits)
            return None
    return None
