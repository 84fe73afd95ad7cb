"""The tokens a serving process knows, in memory: hashes only, so that its state file opens nothing."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from controlplane.core.token_text import hash_secret, split

COLUMNS = (
    "prefix", "kind", "environment", "scopes", "surfaces", "secret_hash", "previous_hash", "previous_until", "expires_at",
)  # fmt: skip
QUERY = f"SELECT {', '.join(COLUMNS)} FROM core_apitoken WHERE revoked_at IS NULL"  # noqa: S608 - constant
REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Token:
    """One token that is not revoked. `id` is its public prefix; `surfaces` of None means all."""

    id: str
    kind: str
    environment: str
    scopes: frozenset[str]
    surfaces: frozenset[str] | None
    secret_hash: str
    previous_hash: str
    previous_until: datetime | None
    expires_at: datetime | None

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Token:
        """From a row of the database or of the state file."""
        return cls(
            id=row["prefix"],
            kind=row["kind"],
            environment=row["environment"],
            scopes=frozenset(row["scopes"]),
            surfaces=frozenset(row["surfaces"]) or None,
            secret_hash=row["secret_hash"],
            previous_hash=row["previous_hash"],
            previous_until=_instant(row["previous_until"]),
            expires_at=_instant(row["expires_at"]),
        )

    def to_row(self) -> dict[str, Any]:
        return {
            "prefix": self.id,
            "kind": self.kind,
            "environment": self.environment,
            "scopes": sorted(self.scopes),
            "surfaces": sorted(self.surfaces or ()),
            "secret_hash": self.secret_hash,
            "previous_hash": self.previous_hash,
            "previous_until": self.previous_until.isoformat() if self.previous_until else None,
            "expires_at": self.expires_at.isoformat() if self.expires_at else None,
        }

    def opens_with(self, hashed: str, *, at: datetime) -> bool:
        """Whether a secret of that hash opens it now; a rotated secret does for its grace time."""
        if self.expires_at is not None and at >= self.expires_at:
            return False
        if hmac.compare_digest(hashed, self.secret_hash):
            return True
        graced = self.previous_hash and self.previous_until and at < self.previous_until
        return bool(graced) and hmac.compare_digest(hashed, self.previous_hash)


def _instant(value: datetime | str | None) -> datetime | None:
    return datetime.fromisoformat(value) if isinstance(value, str) else value


class TokenTable:
    """Recognises tokens. Replaced as a whole; headers that were recognised once are looked up, not hashed again."""

    def __init__(self, *, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._tokens: dict[str, Token] = {}
        self._recognised: dict[bytes, tuple[Token, str]] = {}
        self.used: set[str] = set()

    def __len__(self) -> int:
        return len(self._tokens)

    def replace(self, rows: Iterable[Mapping[str, Any]]) -> bool:
        """Know exactly these tokens from now on; says whether that is any news."""
        fresh = {token.id: token for token in map(Token.from_row, rows)}
        if fresh == self._tokens:
            return False
        self._tokens, self._recognised = fresh, {}
        return True

    def rows(self) -> list[dict[str, Any]]:
        """For the state file."""
        return [self._tokens[prefix].to_row() for prefix in sorted(self._tokens)]

    def readers(self) -> set[tuple[str, frozenset[str] | None]]:
        """Environment and surfaces of the documents that some token may ask for."""
        return {
            (token.environment, token.surfaces)
            for token in self._tokens.values()
            if "ruleset:read" in token.scopes
        }

    def authenticate(self, headers: Iterable[tuple[bytes, bytes]]) -> Token | None:
        """The token of the `Authorization` header, if it may be used now. Header names are lower case."""
        for name, value in headers:
            if name == b"authorization":
                return self.recognise(value)
        return None

    def recognise(self, authorization: bytes) -> Token | None:
        """The token of an `Authorization` value: `Bearer cp_<prefix>_<secret>`."""
        now = self._clock()
        known = self._recognised.get(authorization)
        if known is None:
            scheme, _, text = authorization.decode("latin-1").partition(" ")
            parts = split(text.strip()) if scheme.lower() == "bearer" else None
            token = self._tokens.get(parts[0]) if parts else None
            if parts is None or token is None:
                return None
            known = (token, hash_secret(parts[1]))
        token, hashed = known
        if not token.opens_with(hashed, at=now):
            return None
        if len(self._recognised) < REMEMBERED:
            self._recognised[authorization] = known
        self.used.add(token.id)
        return token

    def take_used(self) -> list[str]:
        """Prefixes seen since the last call."""
        seen, self.used = sorted(self.used), set()
        return seen
