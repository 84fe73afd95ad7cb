"""The answers a host gets when there is no ruleset or a call cannot be done: its own order, and why."""

from collections.abc import Iterable

from controlplane.engine import LAW_VERSION, Candidate, Decision, Request, SlateItem


def safe_request(surface: object, *, at: str, candidates: Iterable[object], slots: object) -> Request:
    """What can be kept of a request that cannot be made; candidates that are none are left out."""
    kept = tuple(one for one in _iterated(candidates) if isinstance(one, Candidate))
    return Request(
        surface=surface if isinstance(surface, str) else "",
        at=at,
        unit_ids={},
        candidates=kept,
        slots=slots if isinstance(slots, int) else None,
    )


def host_order(request: object, *, reason: str) -> Decision:
    """The host's own order, cut to the slots it asked for, as revision 0 with the reason; of no request, nothing."""
    if not isinstance(request, Request):
        request = Request(surface="", at="", unit_ids={})
    candidates = [one for one in _iterated(request.candidates) if isinstance(one, Candidate)]
    slots = request.slots if isinstance(request.slots, int) else len(candidates)
    shown = candidates[: max(0, slots)]
    slate = tuple(
        SlateItem(
            id=one.id,
            position=position,
            score=one.score,
            score_before=one.score,
            rank_before=position,
            rule_codes=(),
            is_fallback=False,
            propensity=one.propensity,
        )
        for position, one in enumerate(shown, start=1)
    )
    return Decision(
        surface=request.surface,
        revision=0,
        law=LAW_VERSION,
        decision_id=request.decision_id,
        assignments=(),
        slate=slate,
        removed=(),
        trace=(),
        reasons=(reason,),
    )


def _iterated(values: object) -> list[object]:
    try:
        return list(values) if isinstance(values, Iterable) else []
    except Exception:  # noqa: BLE001 - a host's own iterator may do anything
        return []
