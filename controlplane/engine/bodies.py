"""Reading fields of rule bodies without ever failing: the value when it has the right type, else a default."""

from collections.abc import Iterator, Mapping, Sequence

from controlplane.engine.coercion import finite
from controlplane.engine.requests import NOTHING

Body = Mapping[str, object]


def text_in(body: Body, name: str, default: str = "") -> str:
    value = body.get(name)
    return value if isinstance(value, str) else default


def whole_in(body: Body, name: str, default: int = 0) -> int:
    value = body.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def number_in(body: Body, name: str, default: float) -> float:
    value = finite(body.get(name))
    return default if value is None else value


def object_in(body: Body, name: str) -> Body:
    value = body.get(name)
    if type(value) is dict:  # asking the abstract class costs ten times as much
        return value
    return value if isinstance(value, Mapping) else NOTHING


def list_in(body: Body, name: str) -> Sequence[object]:
    value = body.get(name)
    return value if isinstance(value, (list, tuple)) else ()


def texts_in(body: Body, name: str) -> tuple[str, ...]:
    return tuple(one for one in list_in(body, name) if isinstance(one, str))


def bodies_in(body: Body, name: str) -> Iterator[Body]:
    for one in list_in(body, name):
        if isinstance(one, Mapping):
            yield one


def ranges_of(value: object) -> tuple[tuple[int, int], ...]:
    """Half-open bucket ranges; pairs that are none are left out."""
    if not isinstance(value, (list, tuple)):
        return ()
    pairs = []
    for pair in value:
        if isinstance(pair, (list, tuple)) and len(pair) == 2:
            low, high = pair
            if isinstance(low, int) and isinstance(high, int):
                pairs.append((low, high))
    return tuple(pairs)
