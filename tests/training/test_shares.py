"""How stages share a budget: what cannot be shared is refused in words, nothing is overspent."""

import math
from dataclasses import replace

import numpy as np
import pytest
from synthetic import prepared
from torch import nn

from benchmark.contract import Stage, default_losses
from benchmark.errors import UserError
from benchmark.methods import METHODS, Method
from benchmark.training import cell, shares
from benchmark.training.loop import CellFailed
from benchmark.training.settings import Budget, Settings

SETTINGS = Settings(
    budget="6 steps", cell_mm=(3.0, 7.5, 7.5), width=8, batch_size=3, learning_rate=0.003
)
WEIGHT = nn.Linear(1, 1).weight


@pytest.fixture(scope="module")
def data():
    return prepared()


def stage(name="a", share=1.0, **more):
    values = {"losses": lambda batch: {}, "parameters": [WEIGHT]} | more
    return Stage(name, share, **values)


def keeping(image):
    return {}


WRONG = {
    "a share of 0": ([stage("a", 0), stage("b", 1)], "stage 'a' has a share of 0"),
    "a share of 0.0 at last": ([stage("a", 1.0), stage("b", 0.0)], "stage 'b' has a share of 0.0"),
    "a share below 0": ([stage("a", -0.5), stage("b", 1.5)], "share of -0.5"),
    "no number": ([stage("a", math.nan)], "share of nan"),
    "text": ([stage("a", "1")], "share of '1'"),
    "too much": ([stage("a", 0.7), stage("b", 0.7)], "add up to 1.4"),
    "infinite": ([stage("a", math.inf)], "share of inf"),
    "no stage": ([], "stages() gives no stage"),
    "None": (None, "does not give a list of Stage"),
    "a pair": ([("a", 1.0)], "does not give a list of Stage"),
    "one name": ([stage("a", 0.5), stage("a", 0.5)], "two of its stages are called 'a'"),
    "no name": ([stage("")], "stage 1 has no name"),
    "no parameters": ([stage(parameters=[])], "no list of parameters"),
    "no losses": ([stage(losses=None)], "losses that cannot be called"),
    "rate": ([stage(learning_rate=math.nan)], "learning_rate of nan"),
    "rate 0": ([stage(learning_rate=0)], "learning_rate of 0"),
    "batch": ([stage(batch_scale=0)], "batch_scale of 0"),
    "half a batch": ([stage(batch_scale=0.5)], "batch_scale of 0.5"),
    "half an adversary": ([stage(opponent_losses=lambda b: {})], "only one of opponent_losses"),
}


@pytest.mark.parametrize("name", WRONG)
def test_stages_that_cannot_share_are_refused(name):
    stages, words = WRONG[name]
    problem, remedy = shares.fault(stages)
    assert words in problem
    assert remedy


@pytest.mark.parametrize(
    "stages",
    [
        [stage()],
        (stage("a", 0.1), stage("b", 0.2), stage("c", 0.7)),
        [stage("a", np.float32(0.5), batch_scale=np.int64(2)), stage("b", np.float64(0.5))],
        [stage("a", 1e-9), stage("b", 1 - 1e-9)],
        [stage(share=1, opponent_losses=lambda b: {}, opponent_parameters=[WEIGHT])],
    ],
)
def test_stages_that_can_are_not(stages):
    assert shares.fault(stages) == ("", "")


@pytest.mark.parametrize("first", [0.0, -0.25, math.nan, 1e-13])
def test_a_share_of_nothing_ends_in_words_and_not_in_a_division(first, data, monkeypatch):
    class Net(nn.Module):
        outputs, notes = ("mask",), ()

        def __init__(self, grid, in_channels, width):
            super().__init__()
            self.layer = nn.Conv3d(in_channels, 4, 1)

        def forward(self, image):
            return {"logits": self.layer(image)}

        def stages(self):
            def losses(batch):
                return default_losses(self(batch.image), batch)

            own = list(self.parameters())
            return [Stage("warm", first, losses, own), Stage("main", 1 - first, losses, own)]

    monkeypatch.setattr(Method, "load", lambda self: Net)
    method = Method("net", "Net", "nowhere:Net", ("mask",))
    if first > 0:  # however small, it takes its one step
        assert cell.run_cell(method, data, SETTINGS, 0, "cpu", 1).ledger["steps"] == 6
        return
    with pytest.raises(CellFailed, match="stage 'warm' has a share of"):
        cell.run_cell(method, data, SETTINGS, 0, "cpu", 1)


ODD = ["0 s", "-1 s", "inf s", "nan steps", "1e-400 s", "1e400 steps", "0.5 samples", "2.5 steps"]


@pytest.mark.parametrize("budget", [*ODD, "1e-9 steps", "5", "steps", "1 s s"])
def test_odd_budgets_are_refused(budget):
    with pytest.raises(UserError):
        Budget.parse(budget)


@pytest.mark.parametrize("budget", ["70 s", "1e3 steps", "5000 samples", "2e13 flops", "0.3 s"])
def test_usual_budgets_are_read(budget):
    assert Budget.parse(budget).amount > 0


def test_stages_leave_each_other_a_step():
    three = [stage("a", 0.9), stage("b", 0.05), stage("c", 0.05)]
    for amount in (3, 4, 10, 20, 100, 1000):
        ends, steps = shares.ends(three, Budget(amount, "steps"), [2, 2, 2], 9), 0
        for end in ends:
            steps += 1
            while steps / amount < end - 1e-9:
                steps += 1
        assert steps == amount
    # where the shares are large enough nothing changes
    assert shares.ends(three, Budget(1000, "steps"), [2, 2, 2], 9) == pytest.approx([0.9, 0.95, 1])


def test_a_budget_below_a_step_of_each_stage_is_refused():
    two = [stage("a", 0.75), stage("b", 0.25, keep=keeping)]
    for text, need in (("1 steps", 2), ("17 samples", 18)):
        words = shares.too_small(two, Budget.parse(text), [3, 6], 9)
        assert f"--budget '{need} {text.split()[1]}'" in words
        assert not shares.too_small(two, Budget(need, text.split()[1]), [3, 6], 9)
    assert not shares.too_small(two, Budget(1e-9, "device-seconds"), [3, 6], 9)


@pytest.mark.parametrize(
    ("budget", "steps"), [("1 steps", None), ("2 steps", 2), ("3 steps", 3), ("5 steps", 5)]
)
def test_methods_of_several_stages_take_the_steps_of_others(budget, steps, data):
    settings = replace(SETTINGS, budget=budget)
    one = cell.run_cell(METHODS["unet3d"], data, settings, 0, "cpu", 1)
    assert one.ledger["steps"] == int(budget.split()[0])
    if steps is None:
        with pytest.raises(CellFailed, match=r"one step of each of its 2 stages takes 2 steps"):
            cell.run_cell(METHODS["mmwfanet"], data, settings, 0, "cpu", 1)
        return
    result = cell.run_cell(METHODS["mmwfanet"], data, settings, 0, "cpu", 1)
    assert result.ledger["steps"] == steps
    assert not any("more than the budget" in note for note in result.notes)


def test_a_budget_of_samples_or_operations_below_a_step_is_refused(data):
    for budget, words in (("2 samples", "takes 3 samples"), ("1 flops", "one step takes")):
        with pytest.raises(CellFailed, match=words):
            cell.run_cell(METHODS["unet3d"], data, replace(SETTINGS, budget=budget), 0, "cpu", 1)


def test_seconds_that_no_step_fits_into_are_said_on_the_board(data):
    result = cell.run_cell(
        METHODS["mmwfanet"], data, replace(SETTINGS, budget="1e-9 s"), 0, "cpu", 1
    )
    assert "more than the budget of 1e-09 device-seconds" in " ".join(result.notes)
    spent = {"device_seconds": 10.4, "steps": 20, "samples": 60, "flops": 1.0}
    ledger = [spent | {"steps": 20}]
    assert shares.overspent(spent, ledger, Budget(10, "device-seconds")) == ""
    assert shares.overspent(spent, ledger, Budget(8, "device-seconds"))
