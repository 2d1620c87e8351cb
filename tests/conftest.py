"""A harness without networks: a cohort of numbers and a trainer that draws its results."""

import os
from dataclasses import dataclass, field

# several workers on few cores: threads of torch and BLAS would fight each other
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest

from benchmark import frozen
from benchmark.calcium import risk_category
from benchmark.cohorts.base import Cohort, Record, Scan
from benchmark.runs import execute as execute_module
from benchmark.runs.display import Display
from benchmark.runs.request import Request

SUITE = """
name: tiny
title: A suite for tests
cohort: phantom
paper_table: table1
methods: [unet3d, dmtrl, mmwfanet]
references: [all-lad]
scales:
  smoke:
    train: 20
    test: 12
    budget: 5 steps
    cell_mm: [6, 8, 8]
    width: 8
    batch_size: 2
    learning_rate: 0.003
"""


class FakeCohort(Cohort):
    """Scores without voxels, the same in every process."""

    name = "fake"
    notes = ("These patients do not exist.",)

    def __init__(self, count: int = 40, print_: str = "ab12" * 16) -> None:
        self.count, self.print = count, print_

    def fingerprint(self) -> str:
        return self.print

    def records(self) -> tuple[Record, ...]:
        values = np.random.default_rng(0).lognormal(3, 2, self.count)
        return tuple(
            Record(f"p{i:03}", "A", float(v), int(risk_category(v))) for i, v in enumerate(values)
        )

    def load(self, id: str) -> Scan:
        raise AssertionError("the fake trainer reads no voxels")


@dataclass
class FakeResult:
    """The attributes of a cell's result that the store reads."""

    ids: list
    reference: np.ndarray
    worst_fp: np.ndarray
    mask: np.ndarray | None = None
    head: np.ndarray | None = None
    tp: np.ndarray | None = None
    fp: np.ndarray | None = None
    fn: np.ndarray | None = None
    components: list | None = None
    ledger: dict = field(default_factory=dict)
    curve: list = field(default_factory=list)
    notes: tuple = ()
    state: dict = field(default_factory=dict)


def scores_of(volumes: np.ndarray) -> np.ndarray:
    """(n, 3) artery volumes -> (n, 3, 4) scores with whole as the sum."""
    volume = np.concatenate([volumes, volumes.sum(axis=1, keepdims=True)], axis=1)
    return np.stack([volume * 1.2, volume, volume * 0.2], axis=1)


class FakeTrainer:
    """Draws what a method would have given; records which cells it was asked for.

    Attributes
    ----------
    calls : list of (str, int)
        Method and seed of each call.
    faults : dict
        Exception to raise, by method.
    blind : dict
        Scans per method whose prediction is NaN.
    skill : dict
        Share of each lesion that a method finds, by method.
    """

    def __init__(self) -> None:
        self.calls = []
        self.prepared = 0
        self.faults, self.blind = {}, {}
        self.skill = {"mmwfanet": 0.95, "unet3d": 0.8, "dmtrl": 0.7, "all-lad": 0.3}

    def prepare(self, cohort, split, settings, progress, workers):
        self.prepared += 1
        if progress:
            progress(1, 2)
            progress(2, 2)
        return split

    def run_cell(self, method, split, settings, seed, device, threads, on_progress):
        self.calls.append((method.name, seed))
        if method.name in self.faults:
            raise self.faults[method.name]
        on_progress("training", 0.5, 0.7, 1.0)
        n = len(split.test)
        truth = np.random.default_rng(7).lognormal(3, 1.5, (n, 3))
        truth[: n // 4] = 0
        draw = np.random.default_rng([seed, len(method.name)])
        share = np.clip(self.skill.get(method.name, 0.6) + draw.normal(0, 0.05, (n, 3)), 0, 1)
        found = truth * share
        blind = self.blind.get(method.name, 0)
        estimate = scores_of(found)
        estimate[:blind] = np.nan
        result = FakeResult(list(split.test), scores_of(truth), np.full((n, 4), 50.0))
        if "mask" in method.outputs:
            result.mask = estimate
            whole = np.concatenate([found, found.sum(axis=1, keepdims=True)], axis=1)
            result.tp = whole.copy()
            result.fn = result.reference[:, 1] - whole
            result.fp = np.full((n, 4), 2.0)
            result.tp[:blind] = np.nan
            result.components = [np.array([0, 1, 2], np.uint8)] * n
        if "head" in method.outputs:
            result.head = estimate * 0.9
        result.ledger = {
            "device_seconds": 1.5,
            "steps": 5,
            "samples": 10,
            "flops": 2.5e12,
            "parameters": 1234,
            "flops_per_step": 5e11,
            "step_seconds": 0.3,
            "peak_memory_bytes": 3e8,
            "stages": [{"name": "training", "share": 1.0, "learning_rate": 0.0015}],
            "grid": [8, 16, 16],
            "device_name": "a fake machine",
            "versions": {"torch": "9.9"},
        }
        result.notes = (f"{method.title} is a fake.",)
        result.curve = [("training", 1.0, 10, 0.5)]
        return result


class Lines(Display):
    """A display that keeps its lines."""

    def __init__(self) -> None:
        super().__init__(console=None)
        self.lines = []

    def say(self, text: str) -> None:
        self.lines.append(text)

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


def run_tiny(folder, trainer: FakeTrainer, patients: int = 40, only=None, **options):
    """Run the tiny suite below a folder; an `Outcome` and the lines that were shown."""
    path = folder / "tiny.yaml"
    path.write_text(SUITE, encoding="utf-8")
    real = execute_module.open_cohort

    def open_cohort(name, *_):
        return FakeCohort(patients) if name == "phantom" else real(name)

    request = Request(
        **{
            "suite": str(path),
            "scale": "smoke",
            "out": folder / "runs",
            "device": "cpu",
            "threads": 1,
            **options,
        }
    )
    display = Lines()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(execute_module, "open_cohort", open_cohort)
        return execute_module.execute(request, display, trainer, only), display


@pytest.fixture(autouse=True)
def nobodys_file_was_imported():
    """Of users' files that one test imports into this process the next knows nothing."""
    frozen._imported.clear()


@pytest.fixture
def trainer() -> FakeTrainer:
    return FakeTrainer()


@pytest.fixture
def lines() -> Lines:
    return Lines()


@pytest.fixture
def suite_file(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(SUITE, encoding="utf-8")
    return path


@pytest.fixture
def make_run(tmp_path, trainer):
    """A function that runs the tiny suite: ``make_run(seeds=2) -> (outcome, display)``."""

    def run(**options):
        return run_tiny(tmp_path, trainer, **options)

    return run


@pytest.fixture(scope="session")
def run_once(tmp_path_factory):
    """A function that runs the tiny suite for several tests that only look at its outcome."""

    def run(skill=None, **options):
        trainer = FakeTrainer()
        trainer.skill |= skill or {}
        return run_tiny(tmp_path_factory.mktemp("once"), trainer, **options)[0]

    return run


@pytest.fixture(scope="session")
def tiny_outcome(run_once):
    """The tiny suite with two seeds, run once for all tests that only look."""
    return run_once(seeds=2)


@pytest.fixture
def fake_cli(monkeypatch, trainer):
    """The command line on the fake cohort and trainer."""
    monkeypatch.setattr(execute_module, "open_cohort", lambda *_: FakeCohort())
    monkeypatch.setattr(execute_module, "_trainer", lambda: trainer)
    return trainer
