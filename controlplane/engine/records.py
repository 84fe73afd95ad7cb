"""What a decision has done so far: removals, trace and reasons, collected in order."""

from controlplane.engine.decisions import Removed, TraceStep
from controlplane.engine.items import Item, Rule


class Record:
    """The growing account of one decision. `refused` are the items that may not come in by any other way."""

    __slots__ = ("reasons", "refused", "removed", "trace")

    def __init__(self) -> None:
        self.removed: list[Removed] = []
        self.trace: list[TraceStep] = []
        self.reasons: list[str] = []
        self.refused: set[str] = set()

    def note(self, reason: str) -> None:
        """A code about the decision as a whole, once."""
        if reason not in self.reasons:
            self.reasons.append(reason)

    def refuse(self, item: Item, reason: str, rule: Rule | None = None) -> None:
        """An item leaves and may not come back."""
        self.refused.add(item.id)
        name, version = ("", None) if rule is None else (rule.name, rule.version)
        self.removed.append(Removed(item.id, reason, name, version, item.rank_before))

    def step(self, name: str, rule: Rule, item: Item, detail: str, *, after: int | None = None) -> None:
        """One thing a rule did to one item."""
        self.trace.append(TraceStep(name, rule.name, rule.version, item.id, item.rank_before, after, detail))
