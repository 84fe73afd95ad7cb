"""A token as `serve` hands it to the ingest door."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Token:
    """What `serve` knows of a token."""

    id: str = "t1"
    environment: str = "production"
    scopes: frozenset[str] = frozenset({"events:write"})
    surfaces: frozenset[str] | None = None
    kind: str = "server"
