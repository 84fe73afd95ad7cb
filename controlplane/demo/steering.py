"""How a run of the demo is steered: seed, true effect, served split, all from the environment."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

DEFAULT_SHOPPERS = 9_000
FEWEST_SHOPPERS = 200


class Missteered(ValueError):
    """A variable cannot be used; the message names it and says what to write instead."""


@dataclass(frozen=True, slots=True)
class Steering:
    """One run.

    ``effect`` is the true relative effect of the treatment on the probability of adding to the cart; ``split`` the
    shares (control, treatment) whose events survive in the host, None when all do; ``data`` a folder of published
    logs to run on instead of synthetic shoppers.
    """

    seed: int = 20261123
    effect: float = 0.10
    split: tuple[float, float] | None = None
    shoppers: int = DEFAULT_SHOPPERS
    once: bool = False
    data: Path | None = None


def read_steering(environ: Mapping[str, str]) -> Steering:
    """SEED, EFFECT, SPLIT, SHOPPERS, ONCE and DATA. Raises `Missteered`.

    >>> read_steering({"EFFECT": "-0.05", "SPLIT": "60/40"}).split
    (60.0, 40.0)
    """
    default = Steering()
    data = environ.get("DATA")
    return Steering(
        seed=_whole(environ, "SEED", default.seed, least=0),
        effect=_effect(environ.get("EFFECT"), default.effect),
        split=_split(environ.get("SPLIT")),
        shoppers=_whole(environ, "SHOPPERS", default.shoppers, least=FEWEST_SHOPPERS),
        once=environ.get("ONCE", "").lower() in {"1", "true", "yes", "on"},
        data=Path(data).expanduser() if data else None,
    )


def _whole(environ: Mapping[str, str], name: str, default: int, *, least: int) -> int:
    text = environ.get(name)
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or int(text) < least:
        raise Missteered(f"{name}={text}: write a whole number of {least} or more")
    return int(text)


def _effect(text: str | None, default: float) -> float:
    if not text:
        return default
    try:
        effect = float(text)
    except ValueError:
        effect = float("nan")
    if not -0.9 <= effect <= 1.0:
        raise Missteered(
            f"EFFECT={text}: write a relative effect between -0.9 and 1, such as 0.1, 0 or -0.05"
        )
    return effect


def _split(text: str | None) -> tuple[float, float] | None:
    if not text:
        return None
    parts = text.split("/")
    try:
        shares = [float(part) for part in parts]
    except ValueError:
        shares = []
    if len(shares) != 2 or not all(0 < share < 1e6 for share in shares):
        raise Missteered(f"SPLIT={text}: write two shares, control first, such as 60/40")
    return shares[0], shares[1]
