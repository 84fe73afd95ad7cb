"""Rolled back is rolled back: recompiles and edits elsewhere do not bring it back, and what protects stays current."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controlplane.client import Client
from tests.journeys.installation import Installation
from tests.journeys.rest import Document, Rest
from tests.journeys.traffic import CANDIDATES, SURFACE

pytestmark = [pytest.mark.xdist_group("installation"), pytest.mark.timeout(240)]
HERE = {"environment": "production"}
RULE = "/overrides/summer-sale"


def _boost(factor: float) -> Document:
    return {"type": "boost", "items": ["item-5"], "factor": factor, "surfaces": [SURFACE], "reason": "launch"}


class Shop:
    """What a host sees of production."""

    def __init__(self, installation: Installation, token: str) -> None:
        self._installation, self._token = installation, token

    def section(self) -> Document:
        """The surface's part of the document as it is served now."""
        document = self._installation.ruleset(self._token).json()
        section: Document = document["sections"][f"surface:{SURFACE}"]
        return section

    def factors(self) -> list[Any]:
        return [body["factor"] for body in self.section()["overrides"] if body["key"] == "summer-sale"]

    def slate(self, *, revision: int) -> list[str]:
        """Items a host shows that holds this revision or a newer one."""
        with Client(self._installation.serve, self._token, poll_seconds=0.2) as client:
            assert client.wait_for_revision(revision, 20)
            return [item.id for item in client.decide(SURFACE, {"user": "u"}, {}, CANDIDATES).slate]


def _revision(answer: Document) -> int:
    number = answer["ruleset"]["revision"] if "ruleset" in answer else answer["revision"]
    assert isinstance(number, int)
    return number


def test_hold__three_recompiles_an_edit_elsewhere_and_a_switch_later__stands(
    installation: Installation, token: str, rest: Rest
) -> None:
    shop = Shop(installation, token)
    rest.post("/overrides", {"key": "summer-sale", "title": "Summer sale", "content": _boost(1.25)})
    good = _revision(rest.change("POST", RULE, "/publish", HERE))
    rest.change("PATCH", RULE, body={"content": _boost(9.0)})
    bad = _revision(rest.change("POST", RULE, "/publish", HERE))
    assert bad > good
    expires_at = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    hold = rest.post(
        "/holds",
        {
            **HERE,
            "from_revision": good,
            "sources": ["overrides"],
            "reason": "sales fell",
            "expires_at": expires_at,
        },
    )
    assert _revision(hold) > bad

    for _ in range(3):
        rest.post("/rulesets/production/publish")
    rest.post(
        "/guardrails",
        {
            "key": "no-toxic-text",
            "title": "No toxic text",
            "content": {"action": "block", "signal": "toxicity", "threshold": 0.8, "reason": "policy 4"},
        },
    )
    rest.change("POST", "/guardrails/no-toxic-text", "/publish", HERE)
    switch = {"key": "recall", "kind": "block_items", "items": ["item-1"], "reason": "recalled", **HERE}
    switched = _revision(rest.post("/kill-switches", switch))
    rest.change("PATCH", RULE, body={"content": _boost(4.0)})
    saved = rest.change("POST", RULE, "/publish", HERE)
    assert saved["ruleset"]["status"] == "held"
    last = _revision(rest.post("/rulesets/production/publish"))

    slate = shop.slate(revision=max(switched, last))
    assert shop.factors() == [1.25]
    assert [body["key"] for body in shop.section()["guardrails"]] == ["no-toxic-text"]
    assert "item-1" not in slate
    assert "item-5" in slate

    released = rest.change("POST", f"/holds/{hold['id']}", "/release")
    shop.slate(revision=_revision(released))
    assert shop.factors() == [4.0]
    assert "item-1" not in shop.slate(revision=_revision(released))
