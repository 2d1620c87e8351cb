"""The same seed gives the same bits: of every method, of the smoke suite, of global generators."""

import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from synthetic import prepared

from benchmark.methods import METHODS
from benchmark.suites.load import load_suite
from benchmark.training.cell import run_cell
from benchmark.training.determinism import Determinism, seed_all
from benchmark.training.settings import Settings

SETTINGS = Settings(
    budget="4 steps", cell_mm=(3.0, 7.5, 7.5), width=8, batch_size=3, learning_rate=0.003
)


def draws():
    return random.random(), float(np.random.random()), float(torch.rand(()))  # noqa: NPY002


def test_all_global_generators_are_seeded():
    seed_all(3)
    first = draws()
    seed_all(3)
    assert draws() == first
    seed_all(4)
    assert all(a != b for a, b in zip(draws(), first, strict=True))


@pytest.fixture(scope="module")
def data():
    return prepared()


@pytest.mark.parametrize("method", load_suite("table1").methods, ids=lambda method: method.name)
def test_the_methods_of_table_1_twice_give_the_same_bits(method, data):
    found = []
    for deterministic in (False, True):
        settings = replace(SETTINGS, deterministic=deterministic)
        result = run_cell(METHODS[method.name], data, settings, 1, "cpu", 1)
        arrays = [result.mask, result.head, result.tp, *result.state.values()]
        found.append([None if a is None else np.asarray(a).tobytes() for a in arrays])
        assert result.ledger["threads"] == 1
    # on a CPU the other operations change nothing
    assert found[0] == found[1]
    assert result.ledger["deterministic"] is True
    assert result.ledger["not_deterministic"] == []
    assert not torch.are_deterministic_algorithms_enabled()


def test_operations_without_such_a_form_are_named():
    import warnings

    with Determinism(True) as determinism:
        warnings.warn(
            "upsample_trilinear3d_backward_out_cuda does not have a deterministic implementation",
            UserWarning,
            stacklevel=1,
        )
    assert determinism.as_dict()["not_deterministic"] == ["upsample_trilinear3d_backward_out_cuda"]
    assert Determinism(False).as_dict() == {}


def test_deterministic_runs_are_kept_apart(make_run, trainer):
    outcome, _ = make_run(methods=("dmtrl",))
    other, _ = make_run(methods=("dmtrl",), changes=(("deterministic", "true"),))
    assert len(trainer.calls) == 2
    assert outcome.folder != other.folder
    assert other.plan["settings"]["deterministic"] is True
