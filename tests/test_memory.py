"""Memory of a process as the ledger, a failure and the check of costs tell it."""

import mmap
import resource
import subprocess
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
    # straight from the system: what other tests have freed may be kept for reuse
    block = mmap.mmap(-1, 200 * MB)
    np.frombuffer(block, np.uint8)[:] = 1
    assert memory.held_bytes() - before > 190 * MB
    block.close()
    assert memory.held_bytes() - before < 100 * MB
    assert memory.peak_bytes() - most > 100 * MB
    assert memory.peak_bytes() >= before + 190 * MB


@linux
@pytest.mark.parametrize("keeping", [False, True])
def test_one_method_does_not_inherit_the_peak_of_another(keeping):
    # in a process of its own: what a training keeps of freed memory cannot be unset
    told = subprocess.run(
        [sys.executable, "-c", INHERITED, str(int(keeping))],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    high, after = map(int, told)
    assert after < high - 100 * MB


INHERITED = """
import sys
import numpy as np
from benchmark import memory
from benchmark.training.memory import keep_freed
if sys.argv[1] == "1":
    assert keep_freed()
small = [np.ones(1 << 20, np.uint8) for _ in range(200)]
high = memory.peak_bytes()
del small
memory.begin_peak()
print(high, memory.peak_bytes())
"""


def test_elsewhere_the_most_since_the_process_began_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "_PROC", tmp_path / "none")
    memory.begin_peak()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    unit = 1 if sys.platform == "darwin" else 1024
    assert memory.held_bytes() >= peak * unit
    assert memory.peak_bytes() >= peak * unit
