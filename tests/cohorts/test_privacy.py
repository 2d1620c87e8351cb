"""Ids made anew: the same with one key, others with another, and the key is its owner's alone."""

import stat

import pytest

from benchmark.cohorts.privacy import load_key, new_id
from benchmark.errors import UserError


def test_the_key_is_made_once_and_closed_to_others(tmp_path):
    key = load_key(tmp_path / "cache")
    path = tmp_path / "cache/id.key"
    assert load_key(tmp_path / "cache") == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    load_key(tmp_path / "cache")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in (tmp_path / "cache").iterdir()] == ["id.key"]


def test_ids_depend_on_the_key_and_on_every_name(tmp_path):
    one, other = load_key(tmp_path / "a"), load_key(tmp_path / "b")
    assert one != other
    ids = {new_id(one, "coca", "17"), new_id(one, "coca", "18"), new_id(one, "scan", "17")}
    assert len(ids) == 3
    assert new_id(one, "coca", "17") in ids
    assert new_id(other, "coca", "17") not in ids
    assert new_id(one, "x", "a", "bc") != new_id(one, "x", "ab", "c")


def test_what_is_no_key_is_refused(tmp_path):
    (tmp_path / "id.key").write_bytes(b"short")
    with pytest.raises(UserError, match=r"id.key: is no key of 32 bytes"):
        load_key(tmp_path)
