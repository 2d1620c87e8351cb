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
from benchmark.training import cell, parts, shares
from benchmark.training.loop import CellFailed
from benchmark.training.parts import Part
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
    "apart": ([stage(), stage("b", apart=-1)], "stage 'b' has an apart of -1"),
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
    three = [Part(0.9, 2, 0, 0.0), Part(0.05, 2, 0, 0.0), Part(0.05, 2, 0, 0.0)]
    for amount in (3, 4, 10, 20, 100, 1000):
        steps = 0
        for end in parts.ends(three, Budget(amount, "steps")):
            steps += 1
            while steps < end - 1e-9:
                steps += 1
        assert steps == amount
    # where the shares are large enough nothing changes
    assert parts.ends(three, Budget(1000, "steps")) == pytest.approx([900, 950, 1000])


def test_stages_apart_come_on_top_of_steps_and_samples_and_share_seconds():
    pretraining, main, head = Part(0.2, 3, 0, 0.25), Part(0.6, 3, 0, 0.0), Part(0.2, 6, 9, 4.0)
    three = [pretraining, main, head]
    assert parts.ends(three, Budget(100, "steps")) == pytest.approx([25, 125, 525])
    # in samples: 25 in 9 steps of 3; 100 of the main stage; a pass over 9 scans and 66 steps of 6
    assert parts.ends(three, Budget(100, "samples")) == pytest.approx([27, 127, 127 + 9 + 66 * 6])
    assert parts.ends(three, Budget(100, "flops")) == pytest.approx([20, 80, 100])
    # a stage apart takes a step at least
    assert parts.ends(three, Budget(3, "samples")) == pytest.approx([3, 6, 6 + 9 + 6])


@pytest.mark.parametrize("shares_of", [(1, 5, 8), (3, 7, 4, 9), (2, 9), (1, 1, 1, 3)])
def test_the_last_stage_ends_with_the_budget_to_the_digit(shares_of):
    """Budgets of steps and samples are whole numbers, whatever the shares round to."""
    stages = [Part(part / sum(shares_of), 2, 0, 0.0) for part in shares_of]
    for amount in range(len(stages), 3000):
        assert parts.ends(stages, Budget(amount, "steps"))[-1] == amount


def test_a_budget_below_a_step_of_each_stage_is_refused():
    two = [Part(0.75, 3, 0, 0.0), Part(0.25, 6, 0, 0.0)]
    for text, need in (("1 steps", 2), ("8 samples", 9)):
        words = parts.too_small(two, Budget.parse(text))
        assert f"--budget '{need} {text.split()[1]}'" in words
        assert not parts.too_small(two, Budget(need, text.split()[1]))
    assert not parts.too_small(two, Budget(1e-9, "device-seconds"))
    # what is counted apart needs nothing of the budget
    assert not parts.too_small([Part(0.75, 3, 0, 0.0), Part(0.25, 6, 9, 1.0)], Budget(3, "samples"))


def test_stages_that_are_all_apart_are_refused():
    problem, remedy = shares.fault([stage("a", 0.5, apart=1.0), stage("b", 0.5, keep=keeping)])
    assert "all of its stages are counted apart" in problem
    assert remedy


@pytest.mark.parametrize("budget", ["1 steps", "5 steps", "15 samples"])
def test_every_method_learns_from_as_many_whole_scans(budget, data):
    settings = replace(SETTINGS, budget=budget)
    counted = {}
    for name in ("unet3d", "mmwfanet", "acnn-seg", "dmtrl"):
        result = cell.run_cell(METHODS[name], data, settings, 0, "cpu", 1)
        own = [stage for stage in result.ledger["stages"] if not stage["apart"]]
        counted[name] = tuple(sum(stage[unit] for stage in own) for unit in ("steps", "samples"))
        assert not any("more than the budget" in note for note in result.notes)
    assert len(set(counted.values())) == 1, counted


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
