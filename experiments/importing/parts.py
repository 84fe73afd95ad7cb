"""What every importer does with the product's operations. Repeating an import changes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from controlplane.catalog.models import Surface
from controlplane.catalog.services.items import upsert_items
from controlplane.catalog.services.records import create_surface, publish_surface
from controlplane.core.actors import Actor
from controlplane.core.errors import Unavailable
from controlplane.events.addresses import run_in_child
from controlplane.events.importing import import_events
from controlplane.evidence.models import Metric
from controlplane.evidence.services import create_metric
from experiments import services
from experiments.models import Experiment

MOVE_SECONDS = 1_200.0


@dataclass(slots=True)
class Import:
    """One import into one environment: who, when, and what has come of it so far, in lines for people."""

    environment: str
    actor: Actor
    at: datetime
    owner: str
    said: list[str] = field(default_factory=list)

    def surface(self, key: str, *, title: str, slots: int) -> None:
        """Make the surface live unless it is there."""
        if Surface.objects.filter(key=key).exists():
            return
        made = create_surface(
            key=key,
            title=title,
            owner=self.owner,
            content={"kind": "other", "slots": slots},
            actor=self.actor,
            at=self.at,
        )
        publish_surface(made, environment=self.environment, actor=self.actor, at=self.at)

    def metric(self, key: str, *, title: str, content: Mapping[str, Any]) -> None:
        """Define the metric unless it is there."""
        if not Metric.objects.filter(key=key).exists():
            create_metric(
                key=key, title=title, owner=self.owner, content=content, environment=self.environment,
                actor=self.actor, at=self.at,
            )  # fmt: skip

    def items(self, statements: Iterable[Mapping[str, Any]]) -> None:
        """Take items into the catalogue."""
        counts: dict[str, int] = {}
        lines = (json.dumps(statement, ensure_ascii=False).encode() for statement in statements)
        for batch in upsert_items(lines, actor=self.actor, at=self.at):
            for line in batch:
                counts[line.verdict] = counts.get(line.verdict, 0) + 1
        self.said.append(
            "items: "
            + (", ".join(f"{number:,} {verdict}" for verdict, number in sorted(counts.items())) or "none")
        )

    def events(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Take events in and bring them to the lake. Raises Unavailable when the lake cannot be written."""
        report = import_events(rows, environment=self.environment, actor=self.actor, at=self.at)
        self.said.append(
            f"events: {report.accepted:,} taken in, {report.duplicate:,} there before, {report.refused:,} refused"
        )
        for line, refusal in report.errors[:5]:
            self.said.append(f"  row {line}: {refusal.field} {refusal.message}")
        # In a process of its own: this one may have forked, and the lake's writer does not survive that.
        child = run_in_child("controlplane.events.mover", "--once", "--wait", "60", seconds=MOVE_SECONDS)
        if child.returncode != 0:
            raise Unavailable(
                f"The events are taken in but not yet in the lake: {child.stderr.strip()[-500:]}"
            )

    def experiment(self, key: str, **values: Any) -> Experiment:
        """The imported experiment, made unless it is there."""
        found = Experiment.objects.filter(key=key).first()
        return found or services.import_experiment(
            key=key, owner=self.owner, actor=self.actor, at=self.at, **values
        )

    def analyse(self, experiment: Experiment) -> dict[str, Any]:
        """Analyse it and say what the numbers are."""
        made = services.analyse_experiment(
            experiment, environment=self.environment, actor=self.actor, at=self.at
        )
        result: dict[str, Any] = made.result
        self.said.append(f"experiment {experiment.key}: {result['units']:,} units")
        return result
