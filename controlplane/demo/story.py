"""One time around the loop: people write records, shoppers come, a kill switch is thrown, an analyst reads a result."""

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from controlplane.client import Client
from controlplane.client.client import utc_now
from controlplane.client.events import instant
from controlplane.demo import records
from controlplane.demo.catalogue import Item, bulk_lines, make_catalogue
from controlplane.demo.control import ControlPlane, wait_until
from controlplane.demo.progress import progress
from controlplane.demo.records import ENVIRONMENT, Names, Picks
from controlplane.demo.shop import Shop
from controlplane.demo.shoppers import Behaviour, LossyHost, arrivals
from controlplane.demo.slates import BASELINE, LIVE, SWITCHED, SlateWatch
from controlplane.demo.steering import Steering

BASELINE_SHARE = 0.05
SWITCHED_SHARE = 0.10
REVISION_SECONDS = 30.0
LAKE_SECONDS = 120.0
CAMPAIGN = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Places:
    """Where the installation answers and where the demo may write."""

    web: str
    serve: str
    cache: Path


@dataclass(frozen=True, slots=True)
class Told:
    """What a run leaves behind for its summary."""

    names: Names
    picks: Picks
    shop: Shop
    client: Client
    results: Mapping[str, Any]
    resent: int


class Story:
    """Tells one run. ``say`` receives a line for each step."""

    def __init__(
        self,
        control: ControlPlane,
        steering: Steering,
        *,
        places: Places,
        say: Callable[[str], None],
    ) -> None:
        self._control = control
        self._steering = steering
        self._places = places
        self._say = say
        self._items: tuple[Item, ...] = make_catalogue(steering.seed)
        self._picks = Picks.of(self._items)
        self._newest = 1

    def tell(self) -> Told:
        """Everything, in order. Raises `Refused`, TimeoutError."""
        names = self._prepare()
        token = str(self._control.create("operator", "tokens", records.token(names))["token"])
        self._catalogue(names)
        client = Client(
            self._places.serve,
            token,
            cache_dir=self._places.cache,
            environment=ENVIRONMENT,
            poll_seconds=0.5,
            timeout=10.0,
            flush_seconds=0.5,
            source="demo",
        )
        try:
            return self._run(names, client)
        finally:
            client.close(timeout=10.0)

    def _run(self, names: Names, client: Client) -> Told:
        shop = self._open_shop(names, client)
        first, live, switched = stages(self._steering.shoppers)
        self._await_revision(client)
        self._visits(shop, first, BASELINE, "shoppers before any rule")
        self._rules(names)
        self._start(names)
        self._await_revision(client)
        self._visits(shop, live, LIVE, "shoppers in the experiment")
        self._kill(names)
        self._await_revision(client)
        self._visits(shop, switched, SWITCHED, "shoppers after the kill switch")
        resent = self._deliver(shop, client)
        results = self._analyse(names, shop)
        return Told(names, self._picks, shop, client, results, resent)

    # People at work

    def _prepare(self) -> Names:
        """Names that nothing has yet; what earlier runs left live on this data folder is ended."""
        kinds = (
            ("operator", "tokens"),
            ("analyst", "experiments"),
            ("merchandiser", "overrides"),
            ("compliance", "guardrails"),
            ("compliance", "kill-switches"),
        )
        taken = {key for role, kind in kinds for key in self._control.keys(role, kind)}
        number = 1
        while taken & Names.of_run(number).of_records():
            self._put_away(Names.of_run(number))
            number += 1
        return Names.of_run(number)

    def _put_away(self, names: Names) -> None:
        """End what an earlier run left running on its own surface, as far as one person may."""
        ends = (
            ("analyst", "experiments", names.experiment, "stop"),
            ("merchandiser", "overrides", names.boost, "withdraw"),
            ("merchandiser", "overrides", names.pin, "withdraw"),
        )
        for role, kind, key, verb in ends:
            found = self._control.find(role, f"/{kind}/{key}")
            if found is not None and found.get("live"):
                self._control.act(role, kind, key, verb, {"environment": ENVIRONMENT})

    def _catalogue(self, names: Names) -> None:
        answer = self._control.upload("operator", "/items/bulk", bulk_lines(self._items))
        self._say(f"operator: {len(self._items)} synthetic items upserted ({brief(answer)})")
        fallback = [item.id for item in self._items if item.toxicity < records.TOXICITY_LIMIT][:20]
        surfaces = (
            records.surface(names.surface, "home-feed", slots=records.SLOTS, fallback=fallback),
            records.surface("product-page", "product-page", slots=4, fallback=fallback[:8]),
        )
        for body in surfaces:
            self._publish_once("operator", "surfaces", body)
        country = records.country_attribute()
        if self._control.find("operator", f"/attributes/{country['subject']}.{country['name']}") is None:
            self._control.create("operator", "attributes", country)
        self._publish_once("operator", "audiences", records.audience())
        for metric in records.metrics():
            if self._control.find("analyst", f"/metrics/{metric['key']}") is None:
                self._control.create("analyst", "metrics", metric)
                self._say(f"analyst: metric {metric['key']} is in use")

    def _rules(self, names: Names) -> None:
        until = instant(utc_now() + CAMPAIGN)
        self._publish("merchandiser", "overrides", records.boost(names, self._picks, until=until))
        self._publish("merchandiser", "overrides", records.pin(names, self._picks, until=until))
        self._publish("compliance", "guardrails", records.guardrail(names))

    def _publish_once(self, role: str, kind: str, body: Mapping[str, Any]) -> None:
        if self._control.find(role, f"/{kind}/{body['key']}") is None:
            self._publish(role, kind, body)

    def _publish(self, role: str, kind: str, body: Mapping[str, Any]) -> None:
        """Create a record and make it live."""
        self._control.create(role, kind, body)
        answer = self._control.act(role, kind, body["key"], "publish", {"environment": ENVIRONMENT})
        self._note_revision(answer)
        self._say(f"{role}: {body['title']} ({body['key']}) is live")

    def _start(self, names: Names) -> None:
        self._control.create(
            "analyst", "experiments", records.experiment(names, shoppers=self._steering.shoppers)
        )
        answer = self._control.act(
            "analyst", "experiments", names.experiment, "start", {"environment": ENVIRONMENT}
        )
        self._note_revision(answer)
        self._say(f"analyst: experiment {names.experiment} is running, planned 50/50")

    def _kill(self, names: Names) -> None:
        answer = self._control.create("compliance", "kill-switches", records.kill_switch(names, self._picks))
        self._note_revision(answer)
        self._say(f"compliance: kill switch on {self._picks.killed}")

    def _analyse(self, names: Names, shop: Shop) -> Mapping[str, Any]:
        exposed = shop.tracked["exposure"]

        def measured() -> bool:
            answer = self._control.act(
                "analyst", "experiments", names.experiment, "analyse", {"environment": ENVIRONMENT}
            )
            return exposures_in(answer) >= exposed

        seconds = wait_until(f"{exposed} exposures in the lake", measured, seconds=LAKE_SECONDS, pause=1.0)
        self._say(f"analyst: all {exposed:,} exposures were in the lake and analysed {seconds:.0f} s later")
        results = self._control.get("analyst", f"/experiments/{names.experiment}/results")
        assert isinstance(results, dict)
        return results

    # Machines at work

    def _open_shop(self, names: Names, client: Client) -> Shop:
        groups = {
            "boost": self._picks.boosted,
            "pin": (self._picks.pinned,),
            "guardrail": self._picks.toxic,
            "kill_switch": (self._picks.killed,),
        }
        shop = Shop(
            client=client,
            items=self._items,
            behaviour=Behaviour(self._steering.seed, self._steering.effect),
            host=LossyHost(self._steering.split),
            watch=SlateWatch(groups),
            run=names.run,
            surface=names.surface,
            experiment=names.experiment,
        )
        steering = self._steering
        shop.note(
            "demo_started",
            {
                "run": names.run,
                "seed": steering.seed,
                "effect": steering.effect,
                "split": list(steering.split) if steering.split else None,
                "shoppers": steering.shoppers,
            },
        )
        return shop

    def _visits(self, shop: Shop, number: int, stage: str, label: str) -> None:
        come = arrivals(seed=self._steering.seed, run=shop.run, name=stage, number=number)
        shop.serve_all(progress(come, total=number, label=label), stage=stage)

    def _deliver(self, shop: Shop, client: Client) -> int:
        if not client.flush(60.0):
            raise TimeoutError("the events were not acknowledged within 60 s")
        resent = shop.send_again()
        shop.note("demo_finished", {"run": shop.run, "resent": resent})
        if not client.flush(60.0):
            raise TimeoutError("the events were not acknowledged within 60 s")
        stats = client.stats()
        self._say(
            f"client: {stats.sent:,} events sent, {stats.accepted:,} accepted, {stats.duplicate:,} duplicates "
            f"({resent} sent twice on purpose), {stats.quarantined:,} quarantined"
        )
        return resent

    # Waiting

    def _note_revision(self, answer: Mapping[str, Any]) -> None:
        """Remember the newest revision that carries a write; a pending one follows within a sweep."""
        revision = (answer.get("ruleset") or {}).get("revision")
        if isinstance(revision, int):
            self._newest = max(self._newest, revision)

    def _await_revision(self, client: Client) -> None:
        wanted = self._newest
        if not client.wait_for_revision(wanted, REVISION_SECONDS):
            raise TimeoutError(f"the client did not hold revision {wanted} within {REVISION_SECONDS:g} s")
        self._say(f"client: holds revision {client.revision}")


def stages(shoppers: int) -> tuple[int, int, int]:
    """How many shoppers come before the rules, during the experiment, and after the kill switch.

    The experiment's shoppers are those of the last two stages.
    """
    switched = max(1, math.ceil(shoppers * SWITCHED_SHARE))
    return max(100, math.ceil(shoppers * BASELINE_SHARE)), shoppers - switched, switched


def brief(answer: Mapping[str, Any]) -> str:
    """The counts of a bulk answer."""
    counts = ((name, value) for name, value in answer.items() if isinstance(value, int))
    return ", ".join(f"{name} {value}" for name, value in itertools.islice(counts, 5))


def exposures_in(answer: Mapping[str, Any]) -> int:
    """The number of exposed units an analysis counted, those in two arms included."""
    result = result_of(answer)
    return int(result["units"]) + int(result["multiple_exposure"])


def result_of(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """The stored analysis inside an answer about it."""
    inner = answer.get("result")
    return inner if isinstance(inner, Mapping) else answer
