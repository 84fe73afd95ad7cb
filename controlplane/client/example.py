"""The client's example: decide one slate from a ruleset on disk, or from a running control plane.

python -I -m controlplane.client.example --ruleset ruleset.json
python -I -m controlplane.client.example --url http://127.0.0.1:8001 --token cp_…
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from controlplane.client import Candidate, Client, Decision
from controlplane.client.client import utc_now
from controlplane.client.events import instant
from controlplane.engine import Request, Ruleset, decide

CANDIDATES = tuple(Candidate(id=f"item-{number}", score=1.0 / number) for number in range(1, 11))


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the decision as JSON; 0 when a slate came out."""
    parser = argparse.ArgumentParser(prog="controlplane.client.example", description=__doc__.splitlines()[0])
    parser.add_argument("--ruleset", type=Path, help="a ruleset document; no network is used")
    parser.add_argument("--url", help="the serve address of a control plane")
    parser.add_argument("--token", help="a token with the scopes ruleset:read and events:write")
    parser.add_argument("--surface", default="home-feed")
    parser.add_argument("--user", default="u-1")
    parser.add_argument("--slots", type=int, default=5)
    given = parser.parse_args(arguments)
    if given.ruleset is not None:
        decision = from_file(given.ruleset, surface=given.surface, user=given.user, slots=given.slots)
    elif given.url and given.token:
        decision = from_server(
            given.url, given.token, surface=given.surface, user=given.user, slots=given.slots
        )
    else:
        parser.error("give --ruleset, or --url and --token")
    json.dump(decision.to_json(), sys.stdout, indent=2)
    sys.stdout.write("\n")
    return 0 if decision.slate else 1


def from_file(path: Path, *, surface: str, user: str, slots: int) -> Decision:
    """Decide with the ruleset in a file, in this process, with nothing but the standard library."""
    ruleset = Ruleset.from_document(json.loads(path.read_text(encoding="utf-8")))
    request = Request(
        surface=surface,
        at=instant(utc_now()),
        unit_ids={"user": user},
        candidates=CANDIDATES,
        slots=slots,
        decision_id="example",
    )
    return decide(ruleset, request)


def from_server(url: str, token: str, *, surface: str, user: str, slots: int) -> Decision:
    """Decide with the newest ruleset of a running control plane, and report the decision and the impression."""
    with Client(url, token) as client:
        client.wait_until_ready(timeout=10.0)
        request = client.request(surface, {"user": user}, candidates=CANDIDATES, slots=slots)
        decision = client.decide_request(request)
        client.track_decision(decision, request)
        client.track_impression(decision, request)
        client.flush()
    return decision


if __name__ == "__main__":
    raise SystemExit(main())
