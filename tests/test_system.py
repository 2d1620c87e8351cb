"""Streams that take any text, and errors of the system in one line with place and remedy."""

import errno
import io
import os
import shutil
import subprocess
import sys
import tempfile

import pytest

from benchmark import cli, streams
from benchmark.cohorts.places import default_cache
from benchmark.errors import UserError
from benchmark.system_errors import in_words
from benchmark.whole import draft_file, draft_folder, share, write_text

COMMAND = [sys.executable, "-m", "benchmark"]


def raised(make):
    try:
        make()
    except OSError as error:
        return error
    raise AssertionError("no error")


def full_disk():
    error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/data/x")
    error.add_note("what was finished is kept")
    raise error


def test_every_error_of_the_system_has_place_and_remedy(tmp_path, monkeypatch):
    assert in_words(raised(full_disk)) == (
        "no space left on the disk: /data/x; what was finished is kept; free some space or choose "
        "another folder"
    )
    assert in_words(raised(lambda: open(tmp_path / "none"))) == (
        f"no such file or folder: {tmp_path / 'none'}"
    )
    assert "ulimit -n" in in_words(OSError(errno.EMFILE, os.strerror(errno.EMFILE)))
    assert in_words(OSError("image file is truncated")) == "image file is truncated"
    many = shutil.Error([("a/b", "c/b", f"[Errno {errno.EACCES}] Permission denied: 'a/b'")])
    assert in_words(many) == "no permission: a/b"
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: [str(tmp_path / "none")])
    monkeypatch.setattr(tempfile, "tempdir", None)
    assert "set TMPDIR" in in_words(raised(tempfile.gettempdir))


def test_semaphores_that_cannot_be_made_name_shared_memory(monkeypatch):
    from multiprocessing import get_context, synchronize

    def refuse(*arguments):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(synchronize._multiprocessing, "SemLock", refuse)
    words = in_words(raised(get_context("spawn").Lock))
    assert words.startswith("the file system is read-only: /dev/shm; ")
    assert "--workers 1" in words


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EMFILE, errno.ENXIO, errno.EROFS])
def test_no_error_of_the_system_is_a_traceback(number, monkeypatch, capsys):
    def fail(*arguments, **more):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(cli.cli, "main", fail)
    assert cli.main([]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1


def test_without_a_home_directory_the_remedy_is_said(monkeypatch):
    from pathlib import Path

    def nobody():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", nobody)
    with pytest.raises(UserError, match="--cache"):
        default_cache()
    assert cli.main(["split", "--train", "20", "--test", "12"]) == 0


@pytest.mark.parametrize(
    ("encoding", "text", "expected"),
    [
        ("ascii", "0.1–0.2 ≥ 3 …", "0.1-0.2 >= 3 ..."),
        ("latin-1", "ü–µ", "ü-µ"),
        ("cp1252", "–≥", "–>="),
        ("ascii", "网 \udcff ²", "\\u7f51 \\xff 2"),
        ("utf-8", "– \udcff", "– \\xff"),
    ],
)
def test_what_an_encoding_lacks_is_written_in_other_signs(encoding, text, expected):
    assert text.encode(encoding, streams.NEAREST).decode(encoding) == expected


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_a_board_is_printed_in_any_encoding(encoding, make_run, suite_file):
    from benchmark.report.consoles import make_console
    from benchmark.report.leaderboard import make_board
    from benchmark.report.terminal import print_board

    outcome, _ = make_run()
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors=streams.NEAREST)
    console = make_console()
    console.file = out
    print_board(make_board(outcome.plan, outcome.cells), console)
    out.flush()
    text = out.buffer.getvalue().decode(encoding)
    assert "F1" in text
    assert "�" not in text


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_has_seen_enough_ends_nothing(unbuffered):
    child = subprocess.Popen(
        [*COMMAND, "list", "methods"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
    )
    child.stdout.close()
    assert child.stderr.read() == b""
    assert child.wait() == 0


def test_closed_streams_are_no_files():
    code = "import os; [os.close(n) for n in range(3)]; "
    code += "from benchmark import streams; streams.make_ready(); "
    code += "print('x'); os._exit(0 if os.open('/dev/null', 0) > 2 else 1)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize("mask", [0o002, 0o022, 0o027, 0o077])
def test_what_is_written_has_the_modes_of_the_mask(mask, tmp_path):
    before = os.umask(mask)
    try:
        write_text(tmp_path / "text", "a \udcff")
        folder = draft_folder(tmp_path, ".draft-")
        file = draft_file(tmp_path, ".draft-")
        closed = tmp_path / "closed"
        closed.touch(0o600)
        share(closed)
    finally:
        os.umask(before)
    assert [oct(p.stat().st_mode & 0o777) for p in (tmp_path / "text", file, closed)] == [
        oct(0o666 & ~mask)
    ] * 3
    assert folder.stat().st_mode & 0o777 == 0o777 & ~mask
    assert (tmp_path / "text").read_text(encoding="utf-8") == "a \\udcff"
    assert sorted(p.name for p in tmp_path.iterdir() if p.name.startswith(".mode-")) == []
