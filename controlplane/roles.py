"""Who may do what: one table. Rights are operation names or `app.view`; `*` stands for one whole part or everything."""

from __future__ import annotations

from typing import Final

# Everybody may look, and change their own password.
_VIEW: Final = frozenset({"*.view", "core.change_own_password"})

ROLES: Final[dict[str, frozenset[str]]] = {
    "viewer": _VIEW,
    "merchandiser": _VIEW | {"overrides.*", "catalog.*_audience"},
    "analyst": _VIEW | {"experiments.*", "evidence.*", "catalog.*_audience"},
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
    "importer": frozenset(
        {
            "catalog.create_surface",
            "catalog.publish_surface",
            "catalog.upsert_items",
            "evidence.create_metric",
            "evidence.import_summaries",
            "evidence.run_analysis",
            "events.import_events",
            "experiments.import_experiment",
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
