"""A whole run: the story, the summary on disk and on the terminal."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from controlplane.demo.control import ControlPlane
from controlplane.demo.steering import Steering
from controlplane.demo.story import Places, Story
from controlplane.demo.summary import make_summary, page, write_summary


def run_demo(
    control: ControlPlane, steering: Steering, *, places: Places, summary: Path, say: Callable[[str], None]
) -> dict[str, Any]:
    """Tell the story once and write what it found. Raises `Refused`, TimeoutError."""
    say(
        f"synthetic run: seed {steering.seed}, true effect {steering.effect:+.1%}, {steering.shoppers:,} shoppers"
    )
    story = Story(control, steering, places=places, say=say)
    found = make_summary(story.tell(), steering)
    write_summary(found, summary)
    say("")
    for line in page(found):
        say(line)
    say(f"\nwritten to {summary}; `make demo-verify` recomputes it from the lake")
    return found
