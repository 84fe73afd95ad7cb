import json
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from controlplane.client.cache import RulesetCache, identity

AT = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
LATER = datetime(2026, 11, 23, 10, 5, tzinfo=UTC)


def test_cache__written__reads_back_the_same(tmp_path: Path) -> None:
    cache = RulesetCache(tmp_path / "new" / "folder", "x")
    cache.write(body=b'{"a": "\xc3\xa9\\n"}', etag='"e1"', confirmed_at=AT)
    read = cache.read()
    assert read is not None
    assert (read.document, read.etag, read.confirmed_at) == ({"a": "é\n"}, '"e1"', AT)


def test_cache__written__only_the_owner_can_read(tmp_path: Path) -> None:
    cache = RulesetCache(tmp_path / "folder", "x")
    cache.write(body=b"{}", etag=None, confirmed_at=AT)
    assert stat.S_IMODE(cache.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(cache.path.parent.stat().st_mode) == 0o700


def test_cache__written_twice__leaves_one_file(tmp_path: Path) -> None:
    cache = RulesetCache(tmp_path, "x")
    cache.write(body=b'{"n": 1}', etag=None, confirmed_at=AT)
    cache.write(body=b'{"n": 2}', etag=None, confirmed_at=AT)
    assert [path.name for path in tmp_path.iterdir()] == ["ruleset-x.json"]
    read = cache.read()
    assert read is not None
    assert read.document == {"n": 2}


def test_cache__confirmed__is_younger(tmp_path: Path) -> None:
    cache = RulesetCache(tmp_path, "x")
    cache.write(body=b"{}", etag=None, confirmed_at=AT)
    cache.confirm(LATER)
    read = cache.read()
    assert read is not None
    assert read.confirmed_at == LATER


def test_cache__absent__is_none(tmp_path: Path) -> None:
    assert RulesetCache(tmp_path / "nowhere", "x").read() is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: raw[:-1],
        lambda raw: raw.replace(b'"n": 1', b'"n": 9'),
        lambda raw: raw[:0],
        lambda raw: b"\x00" * len(raw),
        lambda raw: b"[]\n" + raw.partition(b"\n")[2],
        lambda raw: raw.replace(b'"format": 1', b'"format": 2'),
    ],
    ids=["short", "changed", "empty", "zeroed", "no-header", "other-format"],
)
def test_cache__damaged__is_refused(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    cache = RulesetCache(tmp_path, "x")
    cache.write(body=b'{"n": 1}', etag=None, confirmed_at=AT)
    cache.path.write_bytes(damage(cache.path.read_bytes()))
    with pytest.raises(ValueError):
        cache.read()


def test_cache__disk_refuses__leaves_the_last_good_one(tmp_path: Path) -> None:
    cache = RulesetCache(tmp_path, "x")
    cache.write(body=b'{"n": 1}', etag=None, confirmed_at=AT)
    blocked = RulesetCache(tmp_path / "ruleset-x.json", "x")
    with pytest.raises(OSError, match=r"ruleset-x\.json"):
        blocked.write(body=b'{"n": 2}', etag=None, confirmed_at=AT)
    read = cache.read()
    assert read is not None
    assert read.document == {"n": 1}


def test_identity__differs_by_token_and_environment__and_gives_neither_away() -> None:
    names = {
        identity(token="cp_a", environment=None),
        identity(token="cp_a", environment="production"),
        identity(token="cp_b", environment="production"),
    }
    assert len(names) == 3
    assert all("cp_" not in name and "production" not in name for name in names)


def test_cache__header__names_no_token(tmp_path: Path) -> None:
    cache = RulesetCache(tmp_path, identity(token="cp_secret", environment=None))
    cache.write(body=b"{}", etag='"e"', confirmed_at=AT)
    header = json.loads(cache.path.read_bytes().partition(b"\n")[0])
    assert sorted(header) == ["etag", "format", "sha256"]
