"""Files that are whole, and places that are tried before hours of work."""

import errno
import os
import re

import pytest

from benchmark.errors import UserError
from benchmark.whole import require_writable, write_text


def test_a_place_that_takes_files_is_made_and_left_empty(tmp_path):
    folder = tmp_path / "a/b"
    require_writable(folder)
    assert list(folder.iterdir()) == []


def test_a_place_that_takes_none_is_one_line_with_what_to_do(tmp_path):
    (tmp_path / "file").write_text("x")
    folder = tmp_path / "file/inside"
    reason = f"cannot write to {folder}: Not a directory"
    with pytest.raises(UserError, match=f"^{re.escape(reason)}$"):
        require_writable(folder)
    with pytest.raises(UserError, match=r"^cannot write to here: Not a directory; take another$"):
        require_writable(folder, "here", "take another")
    assert (tmp_path / "file").read_text() == "x"


def test_a_text_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "t.txt"
    write_text(path, "old")

    def full(number):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["t.txt"]


def test_a_name_that_is_no_text_is_written_with_its_bytes_told(tmp_path):
    write_text(tmp_path / "t.txt", "scan \udcff")
    assert (tmp_path / "t.txt").read_text(encoding="utf-8") == "scan \\udcff"
