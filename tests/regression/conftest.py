"""A baseline without networks: the tiny suite's fake trainer, many seeds, costs made up."""

import shutil
from functools import partial

import numpy as np
import pytest

from benchmark.cli import main
from benchmark.regression import checking
from benchmark.regression.baseline import Baseline, Entry
from benchmark.regression.cost import Cost
from benchmark.regression.rule import Rule
from benchmark.regression.table import CONTRAST, EXACT, TRAINED, Figures, Name
from benchmark.report import measure
from benchmark.runs import execute as execute_module
from benchmark.runs import sources


@pytest.fixture
def made_up():
    """A baseline of 20 seeds: a network, what one of its parts gives, and a row without noise."""
    random = np.random.default_rng(3)

    def drawn(mean, sd):
        return tuple(float(v) for v in random.normal(mean, sd, 20))

    table = {
        Name("net", "mask", "F1", "whole"): Figures(TRAINED, drawn(0.7, 0.02)),
        Name("net", "mask", "ICC", "mean"): Figures(TRAINED, drawn(0.8, 0.02)),
        Name("net", "mask", "MAE_AS", "whole"): Figures(TRAINED, drawn(40, 2)),
        Name("net less gate", "mask", "F1", "whole"): Figures(CONTRAST, drawn(0.2, 0.02)),
        Name("rule", "mask", "F1", "whole"): Figures(EXACT, (0.4,) * 20),
        Name("rule", "mask", "PPV", "RCA"): Figures(EXACT, (float("nan"),) * 20),
    }
    return Baseline(
        Entry("2026-01-02T03:04:05+00:00", "first", "abc", "0.1.0"),
        {"suite": "tiny", "methods": ["net"], "metrics version": 1},
        Rule(),
        tuple(range(100, 120)),
        table,
        {"net": Cost((1.0, 1.02, 0.98, 1.01), (1e8, 1.01e8, 1e8, 1e8))},
        {"device_name": "a machine", "versions": {"torch": "9"}},
    )


@pytest.fixture
def fake_check(fake_cli, monkeypatch):
    """``benchmark check`` on the fake cohort and trainer; costs are those of ``fake_cli.costs``.

    The row that learns nothing gives the same in every seed, as the real ones do.
    """
    drawn = fake_cli.run_cell

    def run_cell(method, split, settings, seed, *rest):
        result = drawn(method, split, settings, seed if method.trained else 0, *rest)
        fake_cli.calls[-1] = (method.name, seed)
        result.ledger |= {"platform": "here", "python": "3", "git_commit": "abc"}
        return result

    fake_cli.run_cell = run_cell
    fake_cli.costs = {}

    def measure_costs(methods, prepared, settings, sittings, progress):
        found = {}
        for method in methods:
            ratio, memory = fake_cli.costs.get(method.name, (1.0, 1e8))
            found[method.name] = Cost((ratio,) * sittings, (memory,) * sittings)
        return found, {}

    # seeds are judged, not patients: no interval over patients is needed
    monkeypatch.setattr(measure, "replicate", partial(measure.replicate, resamples=2))
    monkeypatch.setattr(sources, "open_cohort", execute_module.open_cohort)
    monkeypatch.setattr(checking, "prepare_costs", lambda *_: None)
    monkeypatch.setattr(checking, "measure_costs", measure_costs)
    return fake_cli


@pytest.fixture
def command(fake_check, suite_file, tmp_path):
    """``command(*more) -> exit status``: check of the tiny suite in folders of the test's own."""

    def run(*more):
        places = ["--against", str(tmp_path / "b.json"), "--out", str(tmp_path / "runs")]
        return main(["check", "--suite", str(suite_file), *places, "--plain", *more])

    return run


@pytest.fixture(scope="session")
def _first(tmp_path_factory):
    """Where the first test that wants a baseline of ten seeds leaves it for the others."""
    return tmp_path_factory.mktemp("baseline")


@pytest.fixture
def kept(command, _first, tmp_path, capsys):
    """`command` with a baseline of ten seeds there, and the runs that it was made of."""
    if not (_first / "b.json").exists():
        assert command("--update", "--reason", "the first", "--seeds", "10") == 0
        shutil.copytree(tmp_path / "runs", _first / "runs")
        shutil.copy(tmp_path / "b.json", _first)
    else:
        shutil.copytree(_first / "runs", tmp_path / "runs")
        shutil.copy(_first / "b.json", tmp_path)
    capsys.readouterr()
    return command
