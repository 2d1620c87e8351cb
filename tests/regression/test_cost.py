"""What a training step costs: by real trainings of a small network, in a process of its own."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))

from synthetic import prepared

from benchmark.methods import METHODS
from benchmark.regression import cost
from benchmark.training.settings import Settings

SETTINGS = Settings("9 steps", (3.0, 7.5, 7.5), width=8, batch_size=2, learning_rate=0.003)


@pytest.fixture(scope="module")
def data():
    return prepared(8, 1)


def test_each_method_is_measured_in_a_process_of_its_own(data, monkeypatch):
    monkeypatch.setattr(cost, "STEPS", 2)
    # the network that cannot be loaded spares the other
    methods = (replace(METHODS["unet3d"], name="broken", target="nowhere:Net"), METHODS["unet3d"])
    seen = []
    found, reasons = cost.measure_costs(methods, data, SETTINGS, 1, lambda *n: seen.append(n))
    assert set(found) == {"unet3d"}
    assert set(reasons) == {"broken"}
    assert reasons["broken"]
    assert "\n" not in reasons["broken"]
    (ratio,), (memory,) = found["unet3d"].ratios, found["unet3d"].bytes
    assert ratio > 0
    assert 1e6 < memory < 1e9
    assert seen == [(0, 2), (1, 2)]
    both = found["unet3d"].joined(cost.Cost((9.0,), (8.0,)))
    assert both == cost.Cost((ratio, 9.0), (memory, 8.0))


@pytest.mark.long
def test_a_wider_network_takes_more_memory(data):
    narrow, wide = (
        cost._sitting(METHODS["unet3d"], data, replace(SETTINGS, budget="2 steps", width=width))
        for width in (8, 32)
    )
    assert wide.bytes[0] > 1.5 * narrow.bytes[0]
