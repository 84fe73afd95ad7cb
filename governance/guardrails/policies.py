"""Asymmetry: turning a guardrail on is one person's act; turning it off or loosening it takes two."""

from __future__ import annotations

from controlplane.core.policies import Judged, NeedsApproval
from governance.guardrails import rules

LOOSENING = frozenset({"guardrails.withdraw_guardrail", "guardrails.release_kill_switch"})


def loosening_takes_two(judged: Judged) -> NeedsApproval | None:
    """Ask for an approver when the operation lets through what is stopped now."""
    if judged.operation in LOOSENING:
        return NeedsApproval(
            rule="letting through what a guardrail or switch stops takes two people", role="approver"
        )
    if judged.operation == "guardrails.publish_guardrail":
        live = judged.row.live(judged.environment)
        number = judged.arguments.get("version")
        wanted = judged.row.versions.filter(number=number).first() if number else judged.row.newest()
        if live is not None and wanted is not None and rules.is_looser(live.content, wanted.content):
            return NeedsApproval(
                rule="a looser version of a live guardrail takes two people", role="approver"
            )
    return None
