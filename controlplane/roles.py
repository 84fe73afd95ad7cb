"""Who may do what: one table. Rights are operation names or `app.view`; `*` stands for one whole part or everything."""

from __future__ import annotations

from typing import Final

_VIEW: Final = frozenset({"*.view"})

ROLES: Final[dict[str, frozenset[str]]] = {
    "viewer": _VIEW,
    "merchandiser": _VIEW | {"overrides.*", "catalog.save_audience", "catalog.create_audience"},
    "analyst": _VIEW | {"experiments.*", "evidence.*", "catalog.save_audience", "catalog.create_audience"},
    "compliance": _VIEW | {"guardrails.*", "events.request_erasure", "core.view_audit", "core.view_security"},
    "approver": _VIEW | {"approvals.*"},
    "operator": _VIEW
    | {
        "catalog.*",
        "rulesets.*",
        "events.*",
        "core.*_token",
        "guardrails.throw_kill_switch",
        "core.view_security",
    },
    "admin": frozenset({"*"}),
}

# Parts of the system that act by themselves, each with just the operations it needs.
SYSTEM_ACTORS: Final[dict[str, frozenset[str]]] = {
    "bootstrap": frozenset(
        {
            "catalog.create_environment",
            "core.create_user",
            "core.grant_role",
            "core.create_token",
            "events.import_events",
        }
    ),
    "beat": frozenset(
        {
            "experiments.stop_experiment",
            "rulesets.release_hold",
            "events.run_erasure",
            "events.apply_retention",
        }
    ),
    "worker": frozenset(
        {"evidence.run_analysis", "events.run_erasure", "events.redrive", "catalog.learn_attributes"}
    ),
}
