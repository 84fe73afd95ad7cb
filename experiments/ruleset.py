"""What experiments contribute to a ruleset."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from controlplane.core.fragments import SHARED, Entry, Fragment, Reference, surface_section
from controlplane.engine.conditions import condition_attributes
from controlplane.engine.ranges import arm_ranges
from experiments.models import ExperimentPointer


def fragment(environment: str, at: datetime) -> Fragment:
    """Every experiment that runs in the environment: in each of its surfaces, or shared when it names none."""
    return Fragment(
        "experiments",
        [entry for pointer in ExperimentPointer.live_in(environment) for entry in _entries(pointer)],
    )


def seed(salt: str, phase: int) -> str:
    """What a phase's buckets are drawn with: a new phase draws anew, an edit or a promotion does not."""
    return f"{salt}:{phase}"


def _entries(pointer: ExperimentPointer) -> Iterator[Entry]:
    content, experiment = pointer.version.content, pointer.record
    ranges = arm_ranges([arm["weight"] for arm in content["arms"]], content["coverage"])
    body = {
        "key": experiment.key,
        "version": pointer.version.number,
        "phase": experiment.phase,
        "salt": seed(experiment.salt, experiment.phase),
        "hash_attribute": content["hash_attribute"],
        "hash_version": 2,
        "coverage": content["coverage"],
        "arms": [
            {"key": arm["key"], "weight": arm["weight"], "ranges": given, "parameters": arm["parameters"]}
            for arm, given in zip(content["arms"], ranges, strict=True)
        ],
        "condition": content["condition"],
        "audience": content["audience"],
        "filters": [],
        "windows": [],
    }
    refs: list[Reference] = [("audience", content["audience"])] if content["audience"] else []
    refs += [("attribute", name) for name in sorted(condition_attributes(content["condition"] or {}))]
    for surface in content["surfaces"]:
        yield Entry(
            section=surface_section(surface), kind="experiments", key=experiment.key, body=body,
            refs=(*refs, ("surface", surface)),
        )  # fmt: skip
    if not content["surfaces"]:
        yield Entry(section=SHARED, kind="experiments", key=experiment.key, body=body, refs=tuple(refs))
