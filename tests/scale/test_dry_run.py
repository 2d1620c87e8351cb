"""What a run takes, told before: arithmetic of budgets, and the figures of a real small run."""

import json
import math

import pytest

from benchmark.cli import main
from benchmark.errors import UserError
from benchmark.scale.dry_run import parse_rate
from benchmark.scale.estimate import cost_of, makespan
from benchmark.scale.probe import Probe, StageProbe
from benchmark.training.settings import Budget

MASKS = StageProbe("masks", 0.75, 2, 3e9, 0.5)
HEAD = StageProbe("head", 0.25, 4, 1e9, 0.1, keep_flops=1e8)


def probe(*stages, seconds=True, direct=True):
    if not seconds:
        stages = [
            StageProbe(s.name, s.share, s.batch, s.flops, math.nan, s.keep_flops) for s in stages
        ]
    return Probe(tuple(stages), 1e9, 0.2, 1000, 4000, 5e6, 4e8, 5e8, 6e9, direct)


def test_steps_are_counted_stage_by_stage():
    cost = cost_of(probe(MASKS, HEAD), Budget(100, "steps"), train=10, test=5, rate=None)
    assert cost.steps == 100
    assert cost.samples == 75 * 2 + 25 * 4 + 10  # and a pass that keeps features
    assert cost.flops == 75 * 3e9 + 25 * 1e9 + 10 * 1e8
    assert cost.prediction_seconds == pytest.approx(5 * 0.2)


def test_a_pass_that_keeps_features_is_paid_from_the_stage():
    cost = cost_of(probe(MASKS, HEAD), Budget(400, "samples"), train=40, test=0, rate=None)
    assert cost.steps == 300 / 2 + math.ceil(60 / 4)
    assert cost.samples == 400


@pytest.mark.parametrize("unit", ["device-seconds", "flops"])
def test_the_last_step_may_overrun_and_no_more(unit):
    amount = {"device-seconds": 20.3, "flops": 1.01e11}[unit]
    cost = cost_of(probe(MASKS), Budget(amount, unit), train=10, test=0, rate=None)
    spent = {"device-seconds": cost.seconds, "flops": cost.flops}[unit]
    step = {"device-seconds": 0.5, "flops": 3e9}[unit]
    # the one stage here has 0.75 of the budget
    assert 0.75 * amount <= spent < 0.75 * amount + step


def test_a_given_rate_replaces_what_was_measured():
    cost = cost_of(probe(MASKS, seconds=False), Budget(8, "steps"), train=10, test=5, rate=1e9)
    assert cost.seconds == pytest.approx(6 * 3)
    assert cost.prediction_seconds == pytest.approx(5)


def test_memory_on_a_gpu_is_without_the_program_and_the_scans():
    on_cpu = cost_of(probe(MASKS, direct=False), Budget(8, "steps"), 10, 5, 1e9, False, 1e6)
    on_gpu = cost_of(probe(MASKS, direct=False), Budget(8, "steps"), 10, 5, 1e9, True, 1e6)
    assert on_cpu.memory - on_gpu.memory == pytest.approx(4e8 + 1e6)


def test_runs_are_shared_out_among_devices():
    assert makespan([3, 3, 2, 2, 2], 2) == 7
    assert makespan([3, 1], 8) == 3
    assert math.isnan(makespan([math.nan, 1], 2))


@pytest.mark.parametrize("text", ["50e12 flops/s", "50e12", " 5.0e13 flop/s "])
def test_rates(text):
    assert parse_rate(text) == 5e13


@pytest.mark.parametrize("text", ["fast", "-1", "0", "1.2.3"])
def test_bad_rates(text):
    with pytest.raises(UserError, match="--rate"):
        parse_rate(text)


def test_a_dry_run_writes_nothing_and_agrees_with_the_run(tmp_path, capsys, monkeypatch):
    """Parameters and steps are exact; storage within 5 %, memory within 25 % of the real run."""
    monkeypatch.chdir(tmp_path)
    command = [
        "run", "--suite", "table1", "--scale", "smoke", "--methods", "indices-net,all-lad",
        "--device", "cpu", "--threads", "1", "--plain", "--out", str(tmp_path / "runs"),
    ]  # fmt: skip
    assert main([*command, "--dry-run", "--price", "3", "--devices", "2"]) == 0
    text = capsys.readouterr().out
    assert not (tmp_path / "runs").exists()
    (line,) = [line for line in text.splitlines() if line.startswith("Indices-Net")]
    cells = [cell for cell in line.split("  ") if cell.strip()]
    _, _, tflop, steps, parameters, memory, _, kept = (cell.strip() for cell in cells)
    assert main([*command, "--no-figures"]) == 0
    (folder,) = (tmp_path / "runs/cells").glob("indices-net*")
    ledger = json.loads((folder / "run.json").read_text())["ledger"]
    assert int(steps) == ledger["steps"] == 12
    assert int(parameters.replace(",", "")) == ledger["parameters"]
    # 12 steps of 2 scans forward and back, and 12 test scans forward
    assert ledger["flops"] / 1e12 < float(tflop) < 1.3 * ledger["flops"] / 1e12
    size = sum(path.stat().st_size for path in folder.iterdir())
    assert bytes_of(kept) == pytest.approx(size, rel=0.05)
    assert bytes_of(memory) == pytest.approx(ledger["peak_memory_bytes"], rel=0.25)


def bytes_of(text):
    number, unit = text.split()[:2]
    return float(number) * {"kB": 1e3, "MB": 1e6, "GB": 1e9}[unit]
