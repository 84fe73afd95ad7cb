"""Assignment: which arm of which experiment a unit belongs to, and if none, why not."""

from typing import NamedTuple

from controlplane.engine.bodies import (
    Body,
    bodies_in,
    object_in,
    ranges_of,
    text_in,
    whole_in,
)
from controlplane.engine.conditions import compile_condition
from controlplane.engine.decisions import Assignment
from controlplane.engine.hashing import bucket_after, salted, unit_text
from controlplane.engine.instants import window_keys
from controlplane.engine.ranges import holds, width
from controlplane.engine.requests import NOTHING
from controlplane.engine.subjects import Subject


class Arm(NamedTuple):
    """One arm: its buckets, what it sets, and its share of all enrolled buckets."""

    key: str
    ranges: tuple[tuple[int, int], ...]
    parameters: Body
    propensity: float


class Filter(NamedTuple):
    """A layer: the unit's bucket under another salt must lie in the ranges."""

    state: int
    ranges: tuple[tuple[int, int], ...]
    attribute: str


class Experiment:
    """One experiment of a ruleset, compiled from its body."""

    __slots__ = (
        "arms",
        "attribute",
        "audience",
        "condition",
        "filters",
        "key",
        "name",
        "phase",
        "state",
        "sticky",
        "version",
        "windows",
    )

    def __init__(self, body: Body) -> None:
        self.key = text_in(body, "key")
        self.name = f"experiment:{self.key}"
        self.version = whole_in(body, "version")
        self.phase = whole_in(body, "phase")
        self.attribute = text_in(body, "hash_attribute", "user")
        self.state = salted(text_in(body, "salt"))
        self.arms = _arms(body)
        self.condition = compile_condition(body.get("condition"))
        self.audience = body.get("audience")
        self.filters = tuple(_filter(one, self.attribute) for one in bodies_in(body, "filters"))
        self.windows = window_keys(body.get("windows"))
        self.sticky = body.get("sticky") is True

    def arm_of(self, bucket: int) -> Arm | None:
        for arm in self.arms:
            for low, high in arm.ranges:
                if low <= bucket < high:
                    return arm
        return None

    def arm_named(self, key: object) -> Arm | None:
        for arm in self.arms:
            if arm.key == key:
                return arm
        return None

    def assign(self, subject: Subject) -> Assignment:
        """Why first: kill switch, forced arm, window, unit, layer, condition, audience, and only then the hash."""
        if subject.safe_mode is not None or self.name in subject.disabled:
            return self._without("killed")
        forced = self.arm_named(subject.forced.get(self.key)) if self.key in subject.forced else None
        if forced is not None:
            return self._with(forced, propensity=None, bucket=None, reason="forced")
        if not subject.in_window(self.windows, unreadable=False):
            return self._without("outside_window")
        unit = unit_text(subject.attributes.get(self.attribute))
        if not unit:
            return self._without("no_unit")
        bucket = bucket_after(self.state, unit)
        if self.sticky:
            kept = self.arm_named(subject.sticky.get(f"{self.key}__{self.phase}"))
            if kept is not None:
                return self._with(kept, propensity=kept.propensity, bucket=bucket, reason="assigned")
        for layer in self.filters:
            member = unit_text(subject.attributes.get(layer.attribute))
            if not member or not holds(layer.ranges, bucket_after(layer.state, member)):
                return self._without("filtered")
        if not self.condition(subject.attributes):
            return self._without("condition")
        if not subject.in_audience(self.audience):
            return self._without("audience")
        arm = self.arm_of(bucket)
        if arm is None:
            return Assignment(self.key, self.version, self.phase, None, None, bucket, "not_covered", NOTHING)
        return self._with(arm, propensity=arm.propensity, bucket=bucket, reason="assigned")

    def _without(self, reason: str) -> Assignment:
        return Assignment(self.key, self.version, self.phase, None, None, None, reason, NOTHING)

    def _with(self, arm: Arm, *, propensity: float | None, bucket: int | None, reason: str) -> Assignment:
        return Assignment(
            self.key, self.version, self.phase, arm.key, propensity, bucket, reason, arm.parameters
        )


def _arms(body: Body) -> tuple[Arm, ...]:
    read = [
        (text_in(arm, "key"), ranges_of(arm.get("ranges")), object_in(arm, "parameters"))
        for arm in bodies_in(body, "arms")
    ]
    enrolled = sum(width(ranges) for _, ranges, _ in read)
    return tuple(
        Arm(key, ranges, parameters, width(ranges) / enrolled if enrolled else 0.0)
        for key, ranges, parameters in read
    )


def _filter(body: Body, attribute: str) -> Filter:
    return Filter(
        state=salted(text_in(body, "seed")),
        ranges=ranges_of(body.get("ranges")),
        attribute=text_in(body, "attribute", attribute),
    )
