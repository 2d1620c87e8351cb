"""Every malformed file gets one clear line and the right exit status, in bounded time and memory.

By default some files of each reader are read; ``pytest tests/malformed -m long`` reads all.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from make import build

SECONDS, BYTES = 10, 1 << 30
SOME = 6
"""Files of each reader in the default tests."""


class Server:
    """Commands in children that share the imports of one process; see server.py."""

    def __init__(self, folder, cache):
        place = Path(__file__).with_name("server.py")
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, str(place)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "XDG_CACHE_HOME": str(cache), "COLUMNS": "200"},
        )  # fmt: skip
        assert self.process.stdout.readline() == "ready\n"

    def run(self, arguments):
        order = {
            "arguments": arguments, "folder": str(self.folder), "seconds": SECONDS, "bytes": BYTES,
        }  # fmt: skip
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("malformed")
    return folder, build(folder)


@pytest.fixture(scope="module")
def server(corpus, tmp_path_factory):
    server = Server(corpus[0], tmp_path_factory.mktemp("cache"))
    yield server
    server.close()


def fault_of(case, answer):
    """What is wrong with how a command ended; "" if nothing."""
    err = [line for line in answer["err"].splitlines() if not line.startswith("warning: ")]
    errors = [line for line in err if line.startswith(("error: ", "fault: "))]
    if "Traceback" in answer["err"] + answer["out"]:
        return "a traceback"
    if answer["status"] != case.status:
        return f"exit status {answer['status']}, not {case.status}"
    if answer["seconds"] > SECONDS or answer["peak"] > BYTES:
        return f"{answer['seconds']:.1f} s, {answer['peak'] >> 20} MB"
    if not all(letter.isprintable() for line in err for letter in line):
        return "control characters"
    if case.status == 2 and (len(err) != 1 or not err[0].startswith("error: ")):
        return f"{len(err)} lines of errors"
    if case.status == 2 and len(err[0]) > 2100:
        return f"a line of {len(err[0])} characters"
    if case.status == 1:
        told = [n for n in answer["out"].splitlines() if n.startswith(("refused: ", "not used: "))]
        if not 1 <= len(told) + len(errors) <= 8:
            return f"{len(told) + len(errors)} lines tell of it"
    return ""


def read(cases, server):
    """Read files; what is wrong with each, and the most that one took."""
    faults, longest, most = [], 0.0, 0
    for case in cases:
        answer = server.run(case.arguments)
        longest, most = max(longest, answer["seconds"]), max(most, answer["peak"])
        fault = fault_of(case, answer)
        if fault:
            told = (answer["err"] or answer["out"])[-600:]
            faults.append(f"{case.name}: {fault}\n  {' '.join(case.arguments)}\n  {told}")
    return faults, longest, most


def some(cases):
    """A few files of each reader, spread over what is wrong with them."""
    readers = {}
    for case in cases:
        readers.setdefault(case.reader, []).append(case)
    for own in readers.values():
        yield from own[:: max(1, len(own) // SOME)]


def test_some_malformed_files_of_each_reader_get_one_line(corpus, server):
    faults, _, _ = read(list(some(corpus[1])), server)
    assert not faults, "\n".join(faults)


def test_a_corpus_has_hundreds_of_files_and_its_valid_ones_are_read(corpus, server):
    assert len(corpus[1]) >= 300
    assert min(Counter(case.reader for case in corpus[1]).values()) >= 3
    for arguments in (
        ("score", "good/image.nii.gz", "good/labels.nii.gz"),
        ("score", "good/image.mhd", "good/labels.nii.gz"),
        ("data", "check", "csv-scans/scans.csv"),
        ("data", "check", "valid-nnunet") if (corpus[0] / "valid-nnunet/dataset.json").exists()
        else ("data", "check", "scored"),
        ("data", "check", "valid-dicom"),
        ("submit", "orcascore", "--check", "sent", "--data", "orca"),
    ):  # fmt: skip
        answer = server.run(arguments)
        assert answer["status"] == 0, (arguments, answer)


@pytest.mark.long
def test_all_malformed_files_get_one_line(corpus, server, capsys):
    faults, longest, most = read(corpus[1], server)
    with capsys.disabled():
        counts = Counter(case.reader for case in corpus[1])
        print(f"\n{len(corpus[1])} malformed files: {dict(counts)}")
        print(f"at most {longest:.1f} s and {most >> 20} MB each; {len(faults)} faults")
    assert not faults, "\n".join(faults)
