"""What rules did to slates: counted by the demo as it decides, to be recomputed from the lake by other code."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from controlplane.client import Decision

BASELINE, LIVE, SWITCHED = (
    "baseline",
    "live",
    "switched",
)  # before any rule; rules live; kill switch thrown as well


@dataclass
class Tally:
    """Slates of one stage, and where the watched items stood in them."""

    slates: int = 0
    with_item: dict[str, int] = field(default_factory=dict)
    positions: dict[str, list[int]] = field(default_factory=dict)
    removed: dict[str, int] = field(default_factory=dict)


class SlateWatch:
    """Counts slates by stage. ``groups`` names sets of items to watch, such as the boosted ones.

    Only slates of the popularity ranker count, so that stages differ by rules and not by ranker.
    """

    def __init__(self, groups: Mapping[str, Collection[str]]) -> None:
        self._groups = {name: frozenset(items) for name, items in groups.items()}
        self._tallies: dict[str, Tally] = {}

    def see(self, stage: str, decision: Decision) -> None:
        """Count one slate."""
        tally = self._tallies.setdefault(stage, Tally())
        tally.slates += 1
        for name, items in self._groups.items():
            places = [item.position for item in decision.slate if item.id in items]
            if places:
                tally.with_item[name] = tally.with_item.get(name, 0) + 1
                tally.positions.setdefault(name, []).extend(places)
        for gone in decision.removed:
            if gone.rule:
                tally.removed[gone.rule] = tally.removed.get(gone.rule, 0) + 1

    def figures(self, stage: str, group: str) -> dict[str, Any]:
        """Of one stage and group: slates, share with an item of the group, its mean position."""
        tally = self._tallies.get(stage, Tally())
        places = tally.positions.get(group, [])
        share = tally.with_item.get(group, 0) / tally.slates if tally.slates else None
        return {
            "slates": tally.slates,
            "share_with_item": share,
            "mean_position": sum(places) / len(places) if places else None,
        }

    def removals(self, rule: str, stages: Iterable[str]) -> int:
        """How many items a rule kept out of slates in these stages."""
        return sum(self._tallies.get(stage, Tally()).removed.get(rule, 0) for stage in stages)
