"""A search inside the budget: what trials see and spend, what is chosen, and how it goes on."""

import json
import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from synthetic import prepared
from torch import nn

from benchmark.contract import default_losses
from benchmark.methods import Method
from benchmark.training import cell, stop, trial
from benchmark.training.batches import TrainingSet
from benchmark.training.checkpoint import Resume
from benchmark.training.loop import CellFailed, Trainer
from benchmark.training.settings import Settings
from benchmark.training.trials import LARGEST_RECORD, UNITS, Outcome, Record
from benchmark.tuning import tuned

SETTINGS = Settings(
    budget="48 steps", cell_mm=(3.0, 7.5, 7.5), width=8, batch_size=3, learning_rate=0.003
)


class Net(nn.Module):
    """A convolution, whose option tells how its classes are weighed."""

    outputs = ("mask",)
    notes = ()
    tunable = dict(gain=[1.0, 8.0], width=[0.5, 1.0, 2.0])  # noqa: RUF012

    def __init__(self, grid, in_channels, width, gain=1.0, fails=False):
        super().__init__()
        self.gain, self.fails = gain, fails
        self.layers = nn.Sequential(
            nn.Conv3d(in_channels, width, 3, padding=1), nn.ReLU(), nn.Conv3d(width, 4, 1)
        )

    def forward(self, image):
        return {"logits": self.gain * self.layers(image)}

    def losses(self, output, batch):
        terms = default_losses(output, batch)
        return {k: v * (math.nan if self.fails else 1) for k, v in terms.items()}


class Fails(Net):
    """Its loss is not finite where an option says so."""

    tunable = dict(fails=[False, True])  # noqa: RUF012


class Head(Net):
    """Scores alone, from the brightest cell of the scan."""

    outputs = ("head",)

    def __init__(self, grid, in_channels, width, gain=1.0):
        super().__init__(grid, in_channels, width, gain)
        self.last = nn.Linear(4, 12)

    def forward(self, image):
        return {"scores": self.last(self.layers(image).amax(dim=(2, 3, 4)))}


@pytest.fixture(scope="module")
def data():
    return prepared(15, 5)


def make_row(patch, data, kind=Net, trials=4, settings=SETTINGS, **options):
    """The tuned row of a class, and the row of the class as it is."""
    for place in ("benchmark.classes.load", "benchmark.methods.load"):
        patch.setattr(place, lambda *_: kind)
    method = Method("net", "Net", "benchmark:Net", kind.outputs).settled()
    method = replace(method, options={**method.options, **options})
    held_out = tuple(example.id for example in data.train[::4])
    return tuned(method, set(options), settings.as_dict(), trials, held_out), method


@pytest.fixture
def row(monkeypatch, data):
    return partial(make_row, monkeypatch, data)


def run(method, data, settings=SETTINGS, seed=3, **more):
    return cell.run_cell(method, data, settings, seed, "cpu", 1, **more)


@pytest.fixture(scope="module")
def whole(data):
    """The tuned row of `Net`, left alone."""
    with pytest.MonkeyPatch.context() as patch:
        return run(make_row(patch, data)[0], data)


def history(result):
    """Settings and figures of all trials, without times."""
    return [
        {k: v for k, v in one.items() if k not in ("spent", "wall_seconds")}
        for one in result.ledger["tuning"]["history"]
    ]


def assert_same(one, other):
    assert history(one) == history(other)
    np.testing.assert_array_equal(one.mask, other.mask)
    for name, value in one.state.items():
        np.testing.assert_array_equal(value, other.state[name])


@pytest.mark.parametrize("budget", ["50 steps", "150 samples", "8e8 flops"])
def test_the_tuned_row_spends_what_the_row_of_defaults_spends(budget, row, data):
    settings = replace(SETTINGS, budget=budget)
    method, plain = row(settings=settings)
    result, default = run(method, data, settings), run(plain, data, settings)
    unit, amount = budget.split()[1], float(budget.split()[0])
    ledger = result.ledger
    last = ledger["stages"][-1]
    step = last[unit] / last["steps"]
    for spent in (ledger[unit], default.ledger[unit]):
        assert amount <= spent + 1e-9
        assert spent < amount + max(step, default.ledger[unit] / default.ledger["steps"]) + 1e-9
    entry = ledger["tuning"]
    assert ledger["budget"] == budget
    for name in UNITS:
        of_trials = sum(one["spent"][name] for one in entry["history"])
        assert entry["spent"][name] == pytest.approx(of_trials)
        stages = sum(stage[name] for stage in ledger["stages"])
        assert ledger[name] == pytest.approx(stages, abs=2e-3)
    assert sum(stage["share"] for stage in ledger["stages"]) == pytest.approx(1)
    if unit == "steps":
        each = amount // 12
        assert all(one["spent"]["steps"] <= each for one in entry["history"])


def test_seconds_of_trials_and_their_looks_come_out_of_the_budget(row, data):
    settings = replace(SETTINGS, budget="1.2 s")
    result = run(row(settings=settings)[0], data, settings)
    last = result.ledger["stages"][-1]
    assert 1.2 <= result.ledger["device_seconds"] < 1.2 + 5 * last["device_seconds"] / last["steps"]
    assert 0 < result.ledger["tuning"]["spent"]["device_seconds"] < 1.2


def test_the_first_trial_is_the_method_as_it_is(row, data, monkeypatch):
    method, plain = row()
    built = []
    real = trial.Trainer

    def watched(model, data, settings, *rest, **more):
        built.append((settings.learning_rate, settings.width, model.gain))
        return real(model, data, settings, *rest, **more)

    monkeypatch.setattr(trial, "Trainer", watched)
    entry = run(method, data).ledger["tuning"]
    assert built[0] == (SETTINGS.learning_rate, SETTINGS.width, plain.options["gain"])
    assert entry["history"][0]["setting"] == {"learning_rate": 1.0, "gain": 1.0}
    assert len({rate for rate, _, _ in built}) == 4
    # under a budget of steps a wider network would cost nothing
    assert {width for _, width, _ in built} == {SETTINGS.width}


def test_trials_see_no_test_scan_and_are_judged_on_scans_they_did_not_see(
    row, data, monkeypatch, whole
):
    method, _ = row()
    trained, judged = [], []
    real_set, real_validate = TrainingSet.of.__func__, trial.validate

    def set_of(cls, examples, reach=0):
        trained.append({example.id for example in examples})
        return real_set(cls, examples, reach)

    def validate(model, outputs, examples, *rest):
        judged.append({example.id for example in examples})
        return real_validate(model, outputs, examples, *rest)

    monkeypatch.setattr(TrainingSet, "of", classmethod(set_of))
    monkeypatch.setattr(trial, "validate", validate)
    others = replace(data, test=data.test[:2])
    result = run(method, others)
    everything = {example.id for example in data.train}
    assert trained == [everything - set(method.tuning.validation), everything]
    assert set(map(frozenset, judged)) == {frozenset(method.tuning.validation)}
    # nor does anything of the search hang on the test scans
    assert history(result) == history(whole)


def test_the_best_trial_is_trained_on_all_scans_and_kept(row, data):
    settings = replace(SETTINGS, budget="6e8 flops")
    method, _ = row(trials=6, settings=settings)
    result = run(method, data, settings, seed=1)
    entry = result.ledger["tuning"]
    values = [one["value"] for one in entry["history"] if one["value"] is not None]
    assert entry["best"] == max(values)
    assert entry["pruned"] == sum(one["state"] == "pruned" for one in entry["history"])
    best = entry["history"][entry["chosen_trial"] - 1]
    chosen = entry["chosen"]
    assert best["value"] == entry["best"]
    assert chosen["options"] == {"gain": best["setting"]["gain"]}
    assert chosen["settings"]["width"] == 8 * best["setting"]["width"]
    assert result.state["layers.0.weight"].shape[0] == chosen["settings"]["width"]
    rate = SETTINGS.learning_rate * best["setting"]["learning_rate"]
    assert result.ledger["stages"][-1]["learning_rate"] == pytest.approx(rate)
    assert f"width {chosen['settings']['width']}" in entry["words"] or entry["chosen_trial"] == 1


def test_a_head_is_judged_by_its_agreement(row, data):
    entry = run(row(Head)[0], data).ledger["tuning"]
    assert entry["objective"] == "mean ICC"
    assert all(-1.5 <= one["value"] <= 1 for one in entry["history"] if one["value"] is not None)


def test_a_worse_half_ends_a_trial(row, data, monkeypatch):
    figures = iter([0.5, 0.6, 0.1, 0.7, 0.8, 0.2])
    monkeypatch.setattr(trial, "validate", lambda *_: next(figures))
    entry = run(row()[0], data).ledger["tuning"]
    states = [one["state"] for one in entry["history"]]
    assert states == ["complete", "pruned", "complete", "pruned"]
    assert [one["spent"]["steps"] for one in entry["history"]] == [4, 2, 4, 2]
    assert (entry["default"], entry["best"], entry["chosen_trial"]) == (0.6, 0.8, 3)
    assert "4 trials (2 pruned) spent 12 of 48 steps" in entry["words"]


def test_the_same_seed_gives_the_same_bits_and_another_other_settings(row, data, whole):
    method, _ = row()
    again, other = run(method, data), run(method, data, seed=4)
    assert_same(whole, again)
    settings = [[one["setting"] for one in history(result)] for result in (whole, other)]
    assert settings[0][0] == settings[1][0]
    assert settings[0][1:] != settings[1][1:]


def test_a_setting_that_diverges_is_a_failed_trial_and_no_more(row, data):
    entry = run(row(Fails, trials=5)[0], data).ledger["tuning"]
    failed = [one for one in entry["history"] if one["state"] == "failed"]
    assert failed
    assert all(one["setting"]["fails"] and "nan" in one["reason"] for one in failed)
    assert all(one["spent"]["device_seconds"] > 0 for one in failed)
    assert entry["chosen"]["options"] == {"fails": False}


def test_nothing_but_failed_trials_fails_with_the_first_ones_reason(row, data):
    with pytest.raises(CellFailed, match="no trial of its search gave a figure: loss became nan"):
        run(row(Fails, trials=2, fails=True)[0], data)


def test_an_error_of_the_network_is_no_fault_of_a_setting(row, data, monkeypatch):
    def broken(*_):
        raise ArithmeticError("of its own")

    monkeypatch.setattr(Net, "losses", broken)
    with pytest.raises(CellFailed, match="in a trial of its search: ArithmeticError: of its own"):
        run(row()[0], data)


def test_a_budget_without_a_step_of_each_stage_for_a_trial_is_refused(data, monkeypatch):
    from benchmark.methods import METHODS

    settings = replace(SETTINGS, budget="8 samples")
    method = METHODS["mmwfanet"].settled()
    method = tuned(method, set(), settings.as_dict(), 2, tuple(e.id for e in data.train[::4]))
    words = "8 samples is too small for --tune 2: .* takes 3 samples at least; .* --budget '18 samp"
    with pytest.raises(CellFailed, match=words):
        run(method, data, settings)


# ---- going on


def stopped(monkeypatch, method, data, resume, steps):
    """Train until a step, of trials or of the training, as SIGTERM would have it."""
    asked = iter(range(steps - 1))
    with monkeypatch.context() as patch:
        patch.setattr(stop, "asked", lambda: next(asked, None) is None)
        with pytest.raises(KeyboardInterrupt):
            run(method, data, resume=resume)


@pytest.mark.parametrize("step", [1, 7, 30])
def test_a_stopped_search_goes_on_with_the_same_bits(step, row, data, monkeypatch, tmp_path, whole):
    (method, _), at, lines = row(), tmp_path / "at", []
    stopped(monkeypatch, method, data, Resume(at), step)
    trained = []
    real = trial.Trials.run
    monkeypatch.setattr(
        trial.Trials, "run", lambda *a: (trained.append(a[1]), real(*a))[1]
    )  # fmt: skip
    again = run(method, data, resume=Resume(at, say=lines.append))
    assert_same(whole, again)
    done = [one["spent"]["steps"] for one in whole.ledger["tuning"]["history"]]
    finished = int(np.searchsorted(np.cumsum(done), step, side="left"))
    assert trained == list(range(finished, 4))
    assert bool(finished) == any("goes on after" in line for line in lines)
    if step == 30:
        assert again.ledger["resumed"]
    assert again.ledger["steps"] == 48


def test_a_record_of_another_search_begins_the_search_anew(row, data, monkeypatch, tmp_path, whole):
    (method, _), lines = row(), []
    stopped(monkeypatch, method, data, Resume(tmp_path), 7)
    path = tmp_path / "search.json"
    (first,) = json.loads(path.read_text())
    path.write_text(json.dumps([{**first, "setting": {"learning_rate": 2.0}}]))
    assert_same(whole, run(method, data, resume=Resume(tmp_path, say=lines.append)))
    assert any("another one: the search begins anew" in line for line in lines)


@pytest.mark.parametrize("damage", ["cut", "a figure", "no spending", "too large"])
def test_a_damaged_record_is_none_and_a_line(damage, tmp_path):
    path, lines = tmp_path / "search.json", []
    outcome = Outcome(0, {"a": 1.0}, "complete", 0.1, 0.2, "", dict.fromkeys(UNITS, 1), 2.0)
    Record(path).write([outcome], lines.append)
    assert Record(path).read(lines.append) == [outcome]
    assert not lines
    (values,) = json.loads(path.read_text())
    if damage == "cut":
        path.write_text(path.read_text()[:30])
    elif damage == "a figure":
        path.write_text(json.dumps([{**values, "half": "much"}]))
    elif damage == "no spending":
        path.write_text(json.dumps([{**values, "spent": {}}]))
    else:
        path.write_text(" " * LARGEST_RECORD + path.read_text())
    assert Record(path).read(lines.append) == []
    assert "damaged" in lines[0]


HUGE = json.dumps([Outcome(10**400, {}, spent=dict.fromkeys(UNITS, 1)).as_dict()])


@pytest.mark.parametrize(
    "text", ["{}", "[1]", "[[]]", '[{"number": 0}]', "[" * 100_000, "null", '{"a": NaN}', HUGE]
)
def test_any_json_is_a_record_or_a_line(text, tmp_path):
    path = tmp_path / "search.json"
    path.write_text(text)
    lines = []
    assert Record(path).read(lines.append) == []
    assert len(lines) == (text != "{}")


def test_progress_goes_from_the_search_to_the_training(row, data, monkeypatch):
    monkeypatch.setattr("benchmark.training.curve.SECONDS_BETWEEN_POINTS", -1)
    told = []
    run(row()[0], data, on_progress=lambda *line: told.append(line))
    stages, shares = [line[0] for line in told], [line[1] for line in told]
    assert stages[0] == "trial 1 of 4: training"
    assert stages[-1] == "training"
    assert all(0 <= share <= 1 for share in shares)
    assert shares[-1] == pytest.approx(1)


def test_without_a_search_nothing_watches(row, data, monkeypatch):
    seen = []
    real = Trainer.__init__
    monkeypatch.setattr(
        Trainer, "__init__", lambda *a, **k: (seen.append(k.get("watch")), real(*a, **k))[1]
    )
    assert "tuning" not in run(row()[1], data).ledger
    assert seen == [None]


def test_torch_draws_are_those_of_the_cells_seed(row, data):
    """The training after a search begins as any other: only its budget is shorter."""
    settings = replace(SETTINGS, budget="3 steps")
    method, plain = row(trials=1, settings=settings)
    result = run(method, data, settings)
    short = run(plain, data, replace(settings, budget="2 steps"))
    assert result.ledger["tuning"]["chosen_trial"] == 1
    for name, value in short.state.items():
        assert torch.equal(torch.as_tensor(value), torch.as_tensor(result.state[name]))
