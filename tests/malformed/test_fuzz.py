"""Files with random changes are read or refused in one line; fuzz.py does so for hours."""

import sys

import fuzz
import pytest
from hypothesis import HealthCheck, given, settings
from mutations import spoiled
from readers import make_readers, one_line

NAMES = (
    "mhd", "zraw", "mha", "nrrd", "seg.nrrd", "snap", "nrrd-gzip", "nii", "nii.gz", "dicom",
    "enhanced", "segmentation", "packed", "xml", "csv", "scores", "hearts", "cohort", "suite",
    "claims", "dataset", "split", "plan", "search", "zip", "npz", "safetensors", "key",
)  # fmt: skip
SOME = settings(
    max_examples=25, deadline=None, database=None, derandomize=True,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip


@pytest.fixture(scope="module")
def readers(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("fuzz")
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        yield folder, make_readers(folder)


def test_every_reader_is_named(readers):
    assert tuple(readers[1]) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_valid_file_is_read(readers, name):
    folder, known = readers
    path = folder / known[name].name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(known[name].valid)
    known[name].read(path)


@pytest.mark.parametrize("name", NAMES)
def test_spoiled_files_are_read_or_refused_in_one_line(readers, name):
    folder, known = readers
    reader = known[name]
    path = folder / reader.name
    path.parent.mkdir(parents=True, exist_ok=True)

    @SOME
    @given(spoiled(reader.valid, reader.words))
    def attempt(data):
        path.write_bytes(data)
        one_line(reader.read, path)

    attempt()
    path.write_bytes(reader.valid)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--engine", "atheris"), "--engine atheris cannot be had here (not for this Python)"),
        (("--reader", "mdh"), "no reader 'mdh' (there is: mhd, "),
    ],
)
def test_what_cannot_be_fuzzed_is_told_in_one_line(tmp_path, options, words, monkeypatch, capsys):
    (tmp_path / "atheris.py").write_text('raise ImportError("not for this Python")')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "atheris", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["fuzz.py", "--seconds", "1", *options])
    assert fuzz.main() == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith(f"fuzz.py: {words}")
    assert told.err.count("\n") == 1
