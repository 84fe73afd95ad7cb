"""A small world in which every route has something to act on. Factories build rows, operations make history."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from controlplane.catalog import services as catalog
from controlplane.catalog.models import Attribute, Audience, Environment, Surface
from controlplane.core import services as core
from controlplane.core.actors import Actor
from controlplane.core.models import ApiToken
from controlplane.events import services as events
from controlplane.events.models import RetentionRule
from controlplane.evidence import services as evidence
from controlplane.evidence.models import Metric
from controlplane.rulesets import services as rulesets
from controlplane.rulesets.models import Hold, Revision
from experiments import services as experiments
from experiments.models import Experiment
from governance.guardrails import services as guardrails
from governance.guardrails.models import Guardrail, KillSwitch
from overrides import services as overrides
from overrides.models import Override

ADMIN = Actor(kind="user", id="0", name="world", grants=frozenset({("admin", None)}))
ENVIRONMENT = "production"

CONTENTS: Mapping[str, Mapping[str, Any]] = {
    "surface": {"kind": "home-feed", "slots": 6},
    "audience": {"condition": {"surface": "home-feed"}},
    "override": {"type": "boost", "condition": {"available": True}, "factor": 1.5, "reason": "launch"},
    "metric": {
        "kind": "proportion",
        "event_type": "conversion",
        "name": "purchase",
        "aggregation": "any",
        "window_hours": None,
    },
    "experiment": {
        "arms": [{"key": "control", "weight": 5000}, {"key": "treatment", "weight": 5000}],
        "coverage": 5000,
        "primary_metric": "purchase",
    },
    "guardrail": {"action": "block", "signal": "toxicity", "threshold": 0.8, "reason": "policy 4"},
}


@dataclass
class World:
    """Makes what a route needs, with keys never used before."""

    at: datetime
    serial: count[int] = field(default_factory=lambda: count(1))

    def key(self, kind: str) -> str:
        """A key of its own for the next thing of this kind."""
        return f"{kind}-{next(self.serial)}"

    def identity(self, kind: str) -> dict[str, Any]:
        """What creating a record of this kind takes."""
        key = self.key(kind)
        return {"key": key, "title": f"The {key}", "owner": "world", "content": dict(CONTENTS[kind])}

    def _by(self) -> dict[str, Any]:
        return {"actor": ADMIN, "at": self.at}

    def token(self) -> ApiToken:
        token, _ = core.create_token(
            key=self.key("token"), name="A program", scopes=["rest"], roles=["viewer"], **self._by()
        )
        return token

    def environment(self) -> Environment:
        return catalog.create_environment(key=self.key("environment"), name="Another", **self._by())

    def production(self) -> str:
        """The environment in which things go live."""
        if not Environment.objects.filter(key=ENVIRONMENT).exists():
            catalog.create_environment(key=ENVIRONMENT, name="Production", **self._by())
        return ENVIRONMENT

    def attribute(self) -> Attribute:
        return catalog.create_attribute(
            subject="item", name=self.key("colour").replace("-", "_"), type="string", **self._by()
        )

    def surface(self) -> Surface:
        return catalog.create_surface(**self.identity("surface"), **self._by())

    def audience(self) -> Audience:
        return catalog.create_audience(**self.identity("audience"), **self._by())

    def override(self) -> Override:
        return overrides.create_override(**self.identity("override"), **self._by())

    def guardrail(self) -> Guardrail:
        return guardrails.create_guardrail(**self.identity("guardrail"), **self._by())

    def metric(self, key: str = "") -> Metric:
        """A metric in use in production; the same one when it is asked for by key again."""
        found = Metric.objects.filter(key=key).first()
        identity = self.identity("metric")
        return found or evidence.create_metric(
            **{**identity, "key": key or identity["key"]}, environment=self.production(), **self._by()
        )

    def experiment(self) -> Experiment:
        self.metric("purchase")
        return experiments.create_experiment(**self.identity("experiment"), **self._by())

    def running(self) -> Experiment:
        experiment = self.experiment()
        self.live(experiment, experiments.start_experiment)
        return experiment

    def revision(self) -> Revision:
        """A published revision with something in it that can be held."""
        self.live(self.override(), overrides.publish_override)
        published = rulesets.publish_by_hand(environment=self.production(), **self._by())
        return Revision.objects.get(environment=published.environment, number=published.revision)

    def hold(self) -> Hold:
        for standing in Hold.objects.filter(released_at=None):
            rulesets.release_hold(hold=standing, **self._by())
        revision = self.revision()
        hold, _ = rulesets.set_hold(
            environment=revision.environment, from_revision=revision.number, sources=["overrides"],
            reason="wrong prices", expires_at=self.at + timedelta(days=1), **self._by(),
        )  # fmt: skip
        return hold

    def live(self, record: Any, publish: Callable[..., Any]) -> Any:
        """The record, live in production."""
        return publish(record, environment=self.production(), **self._by())

    def kill_switch(self) -> KillSwitch:
        switch, _ = guardrails.throw_kill_switch(
            key=self.key("switch"), environment=self.production(), kind="block_items", items=["item-1"],
            reason="recall", **self._by(),
        )  # fmt: skip
        return switch

    def retention(self) -> RetentionRule:
        """The rule for clicks, as it was last set."""
        return events.set_retention(event_type="click", days=60, **self._by())
