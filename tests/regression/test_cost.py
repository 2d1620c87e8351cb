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


def test_a_sitting_tells_steps_and_memory_of_each_method(data, monkeypatch):
    # a fixed order, and the network that cannot be built spares the other
    methods = (METHODS["unet3d"], replace(METHODS["unet3d"], name="broken", target="nowhere:Net"))
    seen = []
    monkeypatch.setattr(cost, "_sitting", lambda *words: cost.measure_here(*words, rounds=1))
    found, reasons = cost.measure_costs(methods, data, SETTINGS, 2, lambda *n: seen.append(n))
    assert set(found) == {"unet3d"}
    assert set(reasons) == {"broken"}
    assert "\n" not in reasons["broken"]
    assert len(found["unet3d"].ratios) == len(found["unet3d"].bytes) == 2
    assert min(found["unet3d"].ratios) > 0
    assert seen == [(0, 4), (1, 4), (2, 4), (3, 4)]


def test_a_wider_network_takes_more_time_and_memory(data):
    narrow, wide = (
        cost._sitting(METHODS["unet3d"], data, replace(SETTINGS, budget="4 steps", width=width))
        for width in (8, 32)
    )
    assert wide.bytes[0] > 1.5 * narrow.bytes[0]
    assert wide.ratios[0] > 2 * narrow.ratios[0]
