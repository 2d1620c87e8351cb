"""Memory of a process as the ledger, a failure and the check of costs tell it."""

import resource
import sys

import numpy as np
import pytest

from benchmark import memory

MB = 1 << 20
linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells it in /proc")


@linux
def test_what_is_held_and_the_most_that_was_held():
    memory.begin_peak()
    before, most = memory.held_bytes(), memory.peak_bytes()
    block = np.ones(200 * MB, np.uint8)
    assert memory.held_bytes() - before > 190 * MB
    del block
    assert memory.held_bytes() - before < 100 * MB
    assert memory.peak_bytes() - most > 100 * MB
    assert memory.peak_bytes() >= before + 190 * MB


@linux
def test_one_method_does_not_inherit_the_peak_of_another():
    block = np.ones(200 * MB, np.uint8)
    high = memory.peak_bytes()
    del block
    memory.begin_peak()
    assert memory.peak_bytes() < high - 100 * MB


def test_elsewhere_the_most_since_the_process_began_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "_PROC", tmp_path / "none")
    memory.begin_peak()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    unit = 1 if sys.platform == "darwin" else 1024
    assert memory.held_bytes() >= peak * unit
    assert memory.peak_bytes() >= peak * unit
