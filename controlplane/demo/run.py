"""A whole run: the serving token, the story, the summary on disk and on the terminal."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from controlplane.demo.control import ControlPlane
from controlplane.demo.records import ENVIRONMENT
from controlplane.demo.steering import Steering
from controlplane.demo.story import Places, Story
from controlplane.demo.summary import make_summary, page, write_summary

SHOP = "demo-shop"


def run_demo(
    control: ControlPlane, steering: Steering, *, places: Places, summary: Path, say: Callable[[str], None]
) -> dict[str, Any]:
    """Tell the story once and write what it found. Raises `Refused`, TimeoutError."""
    say(
        f"synthetic run: seed {steering.seed}, true effect {steering.effect:+.1%}, {steering.shoppers:,} shoppers"
    )
    token = serving_token(control)
    story = Story(control, steering, places=places, serving_token=token, say=say)
    found = make_summary(story.tell(), steering)
    write_summary(found, summary)
    say("")
    for line in page(found):
        say(line)
    say(f"\nwritten to {summary}; `make demo-verify` recomputes it from the lake")
    return found


def serving_token(control: ControlPlane) -> str:
    """A token for the shop: read the ruleset, write events. A later run gets a new one; a token's text is shown once."""
    taken = set(control.keys("operator", "tokens"))
    number = 1
    while (key := SHOP if number == 1 else f"{SHOP}-{number}") in taken:
        number += 1
    body = {
        "key": key,
        "name": "The demo's shop",
        "scopes": ["ruleset:read", "events:write"],
        "environment": ENVIRONMENT,
    }
    return str(control.create("operator", "tokens", body)["token"])
