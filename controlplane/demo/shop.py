"""The shop at work: shoppers come, slates are decided and shown, what they do is reported."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from controlplane.client import Client, Decision, Request
from controlplane.demo.catalogue import Item
from controlplane.demo.recommender import RANKERS, Recommender
from controlplane.demo.records import SLOTS
from controlplane.demo.shoppers import Behaviour, LossyHost, Outcome, Shopper
from controlplane.demo.slates import SlateWatch


@dataclass
class Shop:
    """One host application. It keeps its own counts, which are later compared with the lake's.

    ``revisions`` counts decisions by revision; ``oldest`` is the oldest revision that decided in a stage.
    """

    client: Client
    items: tuple[Item, ...]
    behaviour: Behaviour
    host: LossyHost
    watch: SlateWatch
    run: str
    surface: str
    experiment: str
    tracked: Counter[str] = field(default_factory=Counter)
    revisions: Counter[int] = field(default_factory=Counter)
    oldest: dict[str, int] = field(default_factory=dict)
    lost: int = 0
    resend: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._recommender = Recommender(self.items)

    def serve(self, shopper: Shopper, *, stage: str) -> None:
        """One visit, from assignment to basket."""
        units = {"user": shopper.user, "session": shopper.session}
        context = {"country": shopper.country}
        arm, ranker = self._arm(units, context)
        candidates = self._recommender.candidates(shopper.taste, ranker=ranker)
        request = self.client.request(self.surface, units, context, candidates, slots=SLOTS)
        decision = self.client.decide_request(request)
        outcome = self.behaviour.outcome(arm, slate=len(decision.slate))
        if self.host.loses(arm):
            self.lost += 1
            return
        if ranker == RANKERS[0]:
            self.watch.see(stage, decision)
        self._report(
            decision, request, outcome, properties={"run": self.run, "stage": stage, "ranker": ranker}
        )

    def serve_all(self, shoppers: Iterable[Shopper], *, stage: str) -> None:
        """Every visit of a stage."""
        for shopper in shoppers:
            self.serve(shopper, stage=stage)

    def note(self, name: str, properties: dict[str, Any]) -> None:
        """Record something about the run itself among its events."""
        event = {"type": "custom", "name": name, "unit_ids": {"session": self.run}, "properties": properties}
        self._track(event)

    def send_again(self) -> int:
        """Send events once more under their old ids, as a host does that did not hear the answer; how many."""
        return sum(self.client.track(event) for event in self.resend)

    def _arm(self, units: dict[str, str], context: dict[str, Any]) -> tuple[str | None, str]:
        for assignment in self.client.assign(self.surface, units, context):
            if assignment.experiment == self.experiment and assignment.arm is not None:
                return assignment.arm, str(assignment.parameters.get("ranker", RANKERS[0]))
        return None, RANKERS[0]

    def _report(
        self, decision: Decision, request: Request, outcome: Outcome, *, properties: dict[str, Any]
    ) -> None:
        self.revisions[decision.revision] += 1
        stage = str(properties["stage"])
        self.oldest[stage] = min(decision.revision, self.oldest.get(stage, decision.revision))
        self._count("decision", queued=self.client.track_decision(decision, request, properties=properties))
        if any(assignment.arm is not None for assignment in decision.assignments):
            self._count("exposure", queued=self.client.track_exposure(decision, request))
        self._count("impression", queued=self.client.track_impression(decision, request))
        if outcome.clicked is None:
            return
        item = decision.slate[outcome.clicked - 1].id
        common = {
            "surface": self.surface,
            "unit_ids": dict(request.unit_ids),
            "decision_id": decision.decision_id,
            "item_id": item,
        }
        self._track({**common, "type": "click", "position": outcome.clicked})
        if outcome.added:
            event = {
                **common,
                "event_id": f"cart.{decision.decision_id}",
                "type": "conversion",
                "name": "add_to_cart",
            }
            self._track(event)
            if len(self.resend) < 100:
                self.resend.append(event)
        if outcome.spent is not None:
            self._track(
                {**common, "type": "value", "name": "revenue", "value": outcome.spent, "currency": "EUR"}
            )

    def _track(self, event: dict[str, Any]) -> None:
        self._count(str(event["type"]), queued=self.client.track(event))

    def _count(self, kind: str, *, queued: bool) -> None:
        if queued:
            self.tracked[kind] += 1
