"""Who asks, where and when: the part of a request that rules are judged against, prepared once per request."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from controlplane.engine.bodies import Body, bodies_in, text_in, texts_in, whole_in
from controlplane.engine.conditions import Predicate
from controlplane.engine.instants import Window, instant_key, open_at
from controlplane.engine.requests import NOTHING, Request


class Switch(NamedTuple):
    """A kill switch that stands on a surface."""

    name: str
    version: int


class Switches:
    """The kill switches of one surface: items that may not be shown, rules that may not apply, safe mode."""

    __slots__ = ("blocked", "disabled", "safe_mode")

    def __init__(self, bodies: Body, surface: str) -> None:
        self.blocked: dict[str, Switch] = {}
        self.disabled: dict[str, Switch] = {}
        self.safe_mode: Switch | None = None
        for body in bodies_in(bodies, "kill_switches"):
            surfaces = texts_in(body, "surfaces")
            if surfaces and surface not in surfaces:
                continue
            switch = Switch(f"kill:{text_in(body, 'key')}", whole_in(body, "version"))
            kind = body.get("kind")
            if kind == "block_items":
                for item in texts_in(body, "items"):
                    self.blocked.setdefault(item, switch)
            elif kind == "disable_rule":
                self.disabled.setdefault(text_in(body, "rule"), switch)
            elif kind == "safe_mode" and self.safe_mode is None:
                self.safe_mode = switch


class Subject:
    """A request as rules see it: attributes, instant, audiences (judged at most once each) and switches."""

    __slots__ = (
        "_audience",
        "_members",
        "applying",
        "at",
        "attributes",
        "disabled",
        "forced",
        "safe_mode",
        "sticky",
    )

    def __init__(
        self, request: Request, switches: Switches, audience: Callable[[str], Predicate | None]
    ) -> None:
        attributes = dict(_mapping(request.context))
        attributes.update(_mapping(request.unit_ids))
        attributes["surface"] = request.surface
        self.attributes: Mapping[str, object] = attributes
        self.at = instant_key(request.at)
        self.forced = _mapping(request.forced)
        self.sticky = _mapping(request.sticky)
        self.disabled = switches.disabled
        self.safe_mode = switches.safe_mode
        self._audience = audience
        self._members: dict[str, bool] = {}
        self.applying: dict[object, bool] = {}

    def in_window(self, windows: tuple[Window, ...] | None, *, unreadable: bool) -> bool:
        """Whether a rule's windows are open now. `unreadable` is the answer when clock or windows cannot be read:
        true for rules that restrict, false for rules that promote."""
        if windows == ():
            return True
        if windows is None or self.at is None:
            return unreadable
        return open_at(windows, self.at)

    def in_audience(self, key: object) -> bool:
        """Whether the request belongs to a named audience; None is everybody, an unknown audience is nobody."""
        if key is None:
            return True
        if not isinstance(key, str):
            return False
        known = self._members.get(key)
        if known is None:
            predicate = self._audience(key)
            known = self._members[key] = predicate is not None and predicate(self.attributes)
        return known


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else NOTHING
