"""Wait for another thread to have done something, instead of guessing how long it takes."""

import time
from collections.abc import Callable


def eventually(condition: Callable[[], object], *, seconds: float = 5.0) -> bool:
    """Whether ``condition`` became true within ``seconds``."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.01)
    return bool(condition())
