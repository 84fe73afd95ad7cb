"""Evaluating a GrowthBook features payload, as any GrowthBook SDK evaluates it on a server.

    payload = Payload(features, saved_groups=..., contextual_bandits=...)
    payload.feature("checkout-layout", Evaluation({"id": "u1"})).value

Rules are compiled when a feature is first asked for. Evaluation is total: rules that cannot be read are skipped.
"""

from collections.abc import Mapping
from typing import NamedTuple

from controlplane.engine.bodies import Body, bodies_in, object_in, text_in, whole_in
from controlplane.engine.coercion import finite, text, truthy
from controlplane.engine.conditions import Predicate, always, compile_condition
from controlplane.engine.growthbook_experiments import (
    Evaluation,
    Experiment,
    ExperimentResult,
    LayerFilter,
    layer_filters,
    numbers,
    points,
    usable_weights,
)
from controlplane.engine.hashing import gb_hash
from controlplane.engine.ranges import choose_variation
from controlplane.engine.requests import NOTHING

__all__ = ["Evaluation", "ExperimentResult", "FeatureResult", "Payload"]

COPIED = (
    "coverage",
    "weights",
    "hashAttribute",
    "fallbackAttribute",
    "disableStickyBucketing",
    "bucketVersion",
    "minBucketVersion",
    "namespace",
    "meta",
    "ranges",
    "name",
    "phase",
    "seed",
    "hashVersion",
    "filters",
    "condition",
)
ALWAYS_COPIED = ("coverage", "bucketVersion", "minBucketVersion")
NO_LEAF = -1
LONGEST_CHAIN = 32


class FeatureResult(NamedTuple):
    """GrowthBook's feature result. `source` is one of override, unknownFeature, defaultValue, force, experiment,
    prerequisite, cyclicPrerequisite."""

    value: object
    source: str
    rule_id: str = ""
    experiment: Body | None = None
    result: ExperimentResult | None = None

    @property
    def on(self) -> bool:
        return truthy(self.value)

    def to_json(self) -> dict[str, object]:
        """The result under GrowthBook's names."""
        body: dict[str, object] = {
            "value": self.value,
            "on": self.on,
            "off": not self.on,
            "source": self.source,
            "ruleId": self.rule_id,
        }
        if self.experiment is not None:
            body["experiment"] = dict(self.experiment)
        if self.result is not None:
            body["experimentResult"] = self.result.to_json()
        return body


class Parent(NamedTuple):
    """A prerequisite: another feature whose value must meet a condition."""

    feature: str
    condition: Predicate
    gate: bool


class Leaf(NamedTuple):
    """A context of a contextual bandit: for whom it stands and the weights it was given."""

    leaf_id: object
    condition: Predicate
    weights: list[float] | None


class Rule:
    """One rule of a feature, compiled."""

    __slots__ = (
        "bandit",
        "body",
        "condition",
        "experiment",
        "filters",
        "forces",
        "leaves",
        "parents",
        "rule_id",
    )

    def __init__(self, body: Body, feature: str, payload: "Payload") -> None:
        self.body = body
        self.rule_id = text_in(body, "id")
        self.parents = payload.parents(body)
        self.filters: tuple[LayerFilter, ...] | None = layer_filters(body)
        self.forces = "force" in body
        self.condition = payload.condition(body.get("condition"))
        self.bandit: Body | None = None
        self.leaves: tuple[Leaf, ...] = ()
        self.experiment: Experiment | None = None
        contextual = body.get("contextualVariations")
        variations = contextual if isinstance(contextual, (list, tuple)) else body.get("variations")
        if not self.forces and isinstance(variations, (list, tuple)):
            self.experiment = Experiment(_experiment_body(body, variations, feature), payload.saved_groups)
            found = payload.bandits.get(text_in(body, "contextualBanditRef"))
            if isinstance(found, Mapping):
                self.bandit = found
                self.leaves = tuple(payload.leaf(one) for one in bodies_in(found, "contexts"))

    def rolled_out(self, feature: str, who: Evaluation) -> bool:
        """Whether a forced value's rollout includes the unit. `coverage` is inclusive, `range` is half open."""
        limits = self.body.get("range")
        coverage = finite(self.body.get("coverage"))
        if not limits and coverage is None:
            return True
        if not limits and coverage == 0:
            return False
        fallback = (
            "" if self.body.get("disableStickyBucketing") or who.sticky is None else "fallbackAttribute"
        )
        _, value = who.unit(
            text_in(self.body, "hashAttribute") or "id", text_in(self.body, fallback) if fallback else ""
        )
        if not truthy(value):
            return False
        version = whole_in(self.body, "hashVersion") or 1
        point = gb_hash(text_in(self.body, "seed") or feature, text(value), version)
        if point is None:
            return False
        if limits:
            return choose_variation(point, points([limits])) >= 0
        return coverage is not None and point <= coverage


def _experiment_body(rule: Body, variations: object, feature: str) -> Body:
    body: dict[str, object] = {"key": text_in(rule, "key") or feature, "variations": variations}
    for name in COPIED:
        if name in rule and (name in ALWAYS_COPIED or truthy(rule[name])):
            body[name] = rule[name]
    return body


class Payload:
    """A features payload held in memory: features, saved groups and contextual bandits."""

    __slots__ = ("_rules", "bandits", "features", "saved_groups")

    def __init__(
        self, features: Body, *, saved_groups: Body = NOTHING, contextual_bandits: Body = NOTHING
    ) -> None:
        self.features = features
        self.saved_groups = saved_groups
        self.bandits = contextual_bandits
        self._rules: dict[str, tuple[Rule, ...]] = {}

    @classmethod
    def from_json(cls, body: Body) -> "Payload":
        """Reads what GET /api/features/{clientKey} answers."""
        return cls(
            object_in(body, "features"),
            saved_groups=object_in(body, "savedGroups"),
            contextual_bandits=object_in(body, "contextualBandits"),
        )

    # Compiling -------------------------------------------------------------------------------------------------

    def condition(self, condition: object) -> Predicate:
        return compile_condition(condition, saved_groups=self.saved_groups) if truthy(condition) else always

    def parents(self, body: Body) -> tuple[Parent, ...]:
        return tuple(
            Parent(text_in(one, "id"), self.condition(one.get("condition")), truthy(one.get("gate")))
            for one in bodies_in(body, "parentConditions")
        )

    def leaf(self, body: Body) -> Leaf:
        return Leaf(body.get("leafId"), self.condition(body.get("condition")), numbers(body.get("weights")))

    def _rules_of(self, key: str, feature: Body) -> tuple[Rule, ...]:
        rules = self._rules.get(key)
        if rules is None:
            rules = self._rules[key] = tuple(Rule(one, key, self) for one in bodies_in(feature, "rules"))
        return rules

    # Evaluating ------------------------------------------------------------------------------------------------

    def feature(self, key: str, who: Evaluation) -> FeatureResult:
        """The value of a feature for one user, and which rule gave it."""
        return self._feature(key, who, ())

    def run(self, experiment: Body, who: Evaluation) -> ExperimentResult:
        """Runs an experiment that is not part of a feature."""
        return self._run(Experiment(experiment, self.saved_groups), None, who, ())

    def _feature(self, key: str, who: Evaluation, chain: tuple[str, ...]) -> FeatureResult:
        if key in chain or len(chain) >= LONGEST_CHAIN:
            return FeatureResult(None, "cyclicPrerequisite")
        if key in who.forced_features:
            return FeatureResult(who.forced_features[key], "override")
        feature = self.features.get(key)
        if not isinstance(feature, Mapping):
            return FeatureResult(None, "unknownFeature")
        for rule in self._rules_of(key, feature):
            found = self._apply(rule, key, who, (*chain, key))
            if found is not None:
                return found
        return FeatureResult(feature.get("defaultValue"), "defaultValue")

    def _apply(self, rule: Rule, key: str, who: Evaluation, chain: tuple[str, ...]) -> FeatureResult | None:
        blocked = self._unmet(rule.parents, who, chain)
        if blocked is not None:
            return FeatureResult(None, blocked) if blocked else None
        if rule.filters is not None and not all(layer.admits(who) for layer in rule.filters):
            return None
        if rule.forces:
            if rule.condition(who.attributes) and rule.rolled_out(key, who):
                return FeatureResult(rule.body["force"], "force", rule.rule_id)
            return None
        if rule.experiment is None:
            return None
        experiment, bandit = self._routed(rule, rule.experiment, who)
        result = self._run(experiment, key, who, chain)
        if not result.in_experiment or result.passthrough:
            return None
        shown = experiment.body
        if bandit and result.hash_used:
            result = result._replace(bandit=bandit)
            shown = {**shown, "contextualBandit": bandit}
        return FeatureResult(result.value, "experiment", rule.rule_id, shown, result)

    def _unmet(self, parents: tuple[Parent, ...], who: Evaluation, chain: tuple[str, ...]) -> str | None:
        """None when every prerequisite is met, a source when the feature ends there, "" when only the rule does."""
        for parent in parents:
            answer = self._feature(parent.feature, who, chain)
            if answer.source == "cyclicPrerequisite":
                return answer.source
            if not parent.condition({"value": answer.value}):
                return "prerequisite" if parent.gate else ""
        return None

    def _routed(self, rule: Rule, experiment: Experiment, who: Evaluation) -> tuple[Experiment, Body]:
        """The experiment under the weights of the bandit's first matching leaf, and what the result says of it.

        No matching leaf, or one that cannot be used, leaves the rule's weights, as leaf -1.
        """
        if rule.bandit is None:
            return experiment, NOTHING
        leaf = next((one for one in rule.leaves if one.condition(who.attributes)), None)
        said: dict[str, object] = {"leafId": NO_LEAF, "variationWeights": experiment.weights()}
        if "banditVersion" in rule.bandit:
            said["banditVersion"] = rule.bandit["banditVersion"]
        if (
            leaf is None
            or leaf.leaf_id is None
            or not usable_weights(leaf.weights, len(experiment.variations))
        ):
            return experiment, said
        said.update(leafId=leaf.leaf_id, variationWeights=leaf.weights)
        return Experiment({**experiment.body, "weights": leaf.weights}, self.saved_groups), said

    def _run(
        self, experiment: Experiment, feature: str | None, who: Evaluation, chain: tuple[str, ...]
    ) -> ExperimentResult:
        outside = experiment.result(who, -1, feature)
        if len(experiment.variations) < 2 or not who.enabled or experiment.body.get("urlPatterns"):
            return outside
        forced = experiment.forced_variation(who)
        if forced is not None:
            return experiment.result(who, forced, feature)
        if not experiment.active() or not truthy(outside.hash_value):
            return outside
        unit = text(outside.hash_value)
        kept, blocked = experiment.sticky_variation(who)
        if kept < 0 and not self._enrolls(experiment, who, unit, chain):
            return outside
        point = gb_hash(experiment.seed, unit, experiment.hash_version)
        if point is None:
            return outside
        if blocked:
            return experiment.result(who, -1, feature, sticky_used=True)
        variation = kept if kept >= 0 else choose_variation(point, experiment.ranges())
        if variation < 0:
            return outside
        if "force" in experiment.body:
            return experiment.result(who, whole_in(experiment.body, "force", -1), feature)
        if who.qa_mode or experiment.body.get("status") == "stopped":
            return outside
        result = experiment.result(
            who, variation, feature, hash_used=True, bucket=point, sticky_used=kept >= 0
        )
        experiment.remember(who, result)
        return result

    def _enrolls(self, experiment: Experiment, who: Evaluation, unit: str, chain: tuple[str, ...]) -> bool:
        """Layers, condition and prerequisites: asked only of units that have no sticky bucket."""
        if experiment.layered_out(who, unit):
            return False
        if experiment.condition is not None and not experiment.condition(who.attributes):
            return False
        return self._unmet(self.parents(experiment.body), who, chain) is None
