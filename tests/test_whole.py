"""Files that are whole, and places that are tried before hours of work."""

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


def test_a_text_that_cannot_be_written_leaves_the_old_one(tmp_path):
    path = tmp_path / "t.txt"
    write_text(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "new \ud800")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["t.txt"]
