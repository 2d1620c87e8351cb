"""A stage's steps a device-second, at its start and over the whole of it."""

from types import SimpleNamespace

import pytest
import torch
from synthetic import prepared

from benchmark.methods import METHODS
from benchmark.report.spent import slowed, stages
from benchmark.training.cell import run_cell
from benchmark.training.clock import Rate
from benchmark.training.settings import Settings


def walked(seconds):
    """The rate of a stage whose steps take so many device-seconds each."""
    clock = SimpleNamespace(seconds=7.0)  # another stage came before
    rate = Rate(clock)
    for count, own in enumerate(seconds, start=1):
        clock.seconds += own
        rate.step(count, count / len(seconds), 7.0)
    return rate.as_dict(len(seconds), clock.seconds - 7.0)


def test_a_steady_stage_has_one_rate():
    assert walked([0.5] * 100) == {"first": 2.0, "whole": 2.0}


def test_a_stage_that_other_work_slows_has_two():
    # ten steps of .1 s, then ninety of .2 s
    assert walked([0.1] * 10 + [0.2] * 90) == {
        "first": 10.0,
        "whole": pytest.approx(100 / 19, 1e-4),
    }


def test_what_came_before_an_interruption_counts():
    rate = Rate(SimpleNamespace(seconds=9.0), (5, 2.5))
    rate.step(60, 0.6, 0.0)
    assert rate.as_dict(100, 40.0) == {"first": 2.0, "whole": 2.5}
    assert Rate(SimpleNamespace(seconds=9.0)).as_dict(100, 40.0) == {}


def test_a_training_tells_its_rates():
    settings = Settings("40 steps", (3.0, 7.5, 7.5), 8, 2, 0.01)
    result = run_cell(METHODS["unet3d"], prepared(), settings, 0, "cpu", 1)
    (stage,) = result.ledger["stages"]
    told = stage["steps_per_second"]
    assert told["whole"] == pytest.approx(40 / result.ledger["device_seconds"], 0.01)
    assert 0 < told["first"] < 100 * told["whole"]
    assert f"{told['whole']:.3g} steps/s" in stages([stage])
    assert torch.get_num_threads() == 1


@pytest.mark.parametrize(
    ("first", "whole", "seconds", "noted"),
    [(10.0, 9.1, 70.0, False), (10.0, 8.9, 70.0, True), (10.0, 5.0, 4.0, False)],
)
def test_a_fall_of_more_than_a_tenth_is_noted(first, whole, seconds, noted):
    stage = {"name": "joint", "device_seconds": seconds}
    stage["steps_per_second"] = {"first": first, "whole": whole}
    notes = slowed(3, {"stages": [stage, {"name": "from before"}]})
    assert bool(notes) == noted
    if noted:
        assert notes[0].startswith("seed 3, stage joint: a device-second bought 11% fewer steps")
