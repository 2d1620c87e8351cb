"""Two processes that share each batch train what one process trains, but for rounding."""

import pickle
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from synthetic import prepared
from torch import nn

from benchmark.methods import METHODS, Method, find
from benchmark.training import cell, parallel, stop
from benchmark.training.checkpoint import Resume
from benchmark.training.loop import CellFailed
from benchmark.training.settings import Settings

SETTINGS = Settings(
    budget="12 steps", cell_mm=(3.0, 7.5, 7.5), width=8, batch_size=4, learning_rate=0.003
)
EXCHANGED = "arm-mtl"
QUICK = [
    *("mmwfanet", "unet3d", "acnn-seg", "sslln", "indices-net", "dmtrl", "arm-mtl", "hu-mtl"),
    "mmwfanet+dropout=0.5",
]
OTHERS = [
    name
    for name, method in METHODS.items()
    if method.trained and not method.external and name not in QUICK
]


class Divided(nn.Module):
    """Its loss is a quotient of two sums over the batch, which it does not say."""

    outputs = ("mask",)
    notes = ()

    def __init__(self, grid, in_channels, width):
        super().__init__()
        self.layer = nn.Conv3d(in_channels, 4, 1)

    def forward(self, image):
        return {"logits": self.layer(image)}

    def losses(self, output, batch):
        right = output["logits"].square().flatten(1).mean(dim=1)
        return {"x": (right * batch.scores[:, 3]).sum() / (right.sum() + batch.scores.sum())}


class Drifting(Divided):
    """Keeps something of its scans from step to step, which it does not say."""

    memory = None

    def forward(self, image):
        if self.training:
            self.memory = image.mean(dim=(1, 2, 3, 4))
        return super().forward(image)

    def losses(self, output, batch):
        return {"x": output["logits"].square().mean()}


def method_of(name):
    if name in ("divided", "drifting"):
        return Method(name, name, f"{__name__}:{name.title()}", ("mask",))
    return find(name)


@contextmanager
def double_precision():
    """Numbers of 64 bits throughout: rounding is then too small to tip a rectifier, the maximum of
    a pooling, or the sign of an absolute error, each of which would change a gradient at once."""
    plain = torch.Tensor.float
    torch.set_default_dtype(torch.float64)
    torch.Tensor.float = torch.Tensor.double
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)
        torch.Tensor.float = plain


def train(name, settings=SETTINGS, folder=None, until=None, seed=3):
    """A cell's ledger, notes and weights; None if it was asked to stop after ``until`` steps."""
    resume = None if folder is None else Resume(folder)
    steps = count()
    plain = stop.asked
    if until is not None:
        stop.asked = lambda: next(steps) + 1 >= until
    try:
        with double_precision():
            result = cell.run_cell(
                method_of(name), prepared(), settings, seed, "cpu", 1, resume=resume
            )
    except KeyboardInterrupt:
        return None
    except CellFailed as error:
        return str(error)
    finally:
        stop.asked = plain
    return {"ledger": result.ledger, "state": result.state, "curve": result.curve}


def main(rank, jobs, folder):
    """One of two processes: every job in turn."""
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo",
        f"file://{folder}/meeting",
        rank=rank,
        world_size=2,
        timeout=timedelta(seconds=60),
    )
    results = {}
    for name, (method, settings, at, until) in jobs.items():
        if rank and at is not None:
            at = f"{at}-unused"  # only the first process has the checkpoint
        results[name] = train(method, settings, at, until)
    if rank == 0:
        (folder / "results").write_bytes(pickle.dumps(results))
    dist.destroy_process_group()


def two_processes(jobs, folder):
    """What two processes gave for every job."""
    mp.spawn(main, (jobs, folder), nprocs=2)
    return pickle.loads((folder / "results").read_bytes())


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """What two processes gave for every job, and the folder of the exchanged checkpoint."""
    folder = tmp_path_factory.mktemp("two")
    # one process trains the first steps of a stage with an adversary
    assert train(EXCHANGED, folder=folder / "one-two", until=4) is None
    jobs = {name: (name, SETTINGS, None, None) for name in [*QUICK, "divided", "drifting"]}
    jobs["uneven"] = ("unet3d", replace(SETTINGS, batch_size=3), None, None)
    jobs["samples"] = ("unet3d", replace(SETTINGS, budget="24 samples"), None, None)
    jobs["seconds"] = ("unet3d", replace(SETTINGS, budget="0.6 s"), None, None)
    jobs["one-two"] = (EXCHANGED, SETTINGS, folder / "one-two", 6)
    return two_processes(jobs, folder), folder


@pytest.fixture(scope="module")
def others(tmp_path_factory):
    """What two processes gave for the other methods."""
    jobs = {name: (name, SETTINGS, None, None) for name in OTHERS}
    return two_processes(jobs, tmp_path_factory.mktemp("others"))


def difference(name, one, two):
    """How far two trainings ended apart, as a share of the way that the first one went."""
    assert one.keys() == two.keys()
    cell.seed_all(3)
    with double_precision():
        begin = dict(cell.build(method_of(name), prepared(), SETTINGS).named_parameters())
    way = apart = 0.0
    for key, value in begin.items():
        way += float((one[key].double() - value.detach().double()).square().sum())
        apart += float((one[key].double() - two[key].double()).square().sum())
    return (apart / way) ** 0.5


@pytest.mark.parametrize("name", QUICK)
def test_two_processes_train_what_one_trains(name, together):
    assert_same(name, together[0][name])


@pytest.mark.long
@pytest.mark.parametrize("name", OTHERS)
def test_every_other_method_as_well(name, others):
    assert_same(name, others[name])


def assert_same(name, two):
    one = train(name)
    assert isinstance(two, dict), two
    for unit in ("steps", "samples"):
        assert two["ledger"][unit] == one["ledger"][unit]
    assert two["ledger"]["flops"] == pytest.approx(one["ledger"]["flops"], rel=0.01)
    assert two["ledger"]["devices"] == 2
    apart = difference(name, one["state"], two["state"])
    print(f"relative difference of {name}: {apart:.2g}")
    assert apart < 1e-6
    for key, value in one["state"].items():  # batch statistics, Omega, the autoencoder's Dice
        if key.rpartition(".")[2] in ("running_mean", "running_var", "omega", "autoencoder_dice"):
            torch.testing.assert_close(
                two["state"][key], value, rtol=1e-6, atol=1e-9, equal_nan=True
            )


def test_a_checkpoint_goes_from_one_process_to_two_and_back(together):
    results, folder = together
    # stopped in one process, then in two: nothing but the checkpoint is left
    assert results["one-two"] is None
    last = train(EXCHANGED, folder=folder / "one-two")
    assert [entry["steps"] for entry in last["ledger"]["resumed"]] == [4, 10]
    assert "devices" not in last["ledger"]
    whole = train(EXCHANGED)
    for unit in ("steps", "samples"):
        assert last["ledger"][unit] == whole["ledger"][unit]
    assert difference(EXCHANGED, whole["state"], last["state"]) < 1e-6


def test_a_budget_counts_all_devices(together):
    results, _ = together
    assert results["samples"]["ledger"]["steps"] == 6  # of 4 scans, 2 on each device
    assert results["samples"]["ledger"]["samples"] == 24
    seconds = results["seconds"]["ledger"]
    # the sum over both: each would have gone on to 0.6 s of its own
    assert 0.6 <= seconds["device_seconds"] < 0.6 + 3 * seconds["step_seconds"]


def test_what_cannot_be_shared_is_refused(together):
    results, _ = together
    assert "batch of 3 scans cannot be shared evenly by 2 devices" in results["uneven"]
    assert "sum_over_devices" in results["divided"]
    assert "per_scan" in results["drifting"]


def test_one_process_is_as_it_was():
    group = parallel.group()
    assert group.count == 1
    model = cell.build(METHODS["unet3d"], prepared(), SETTINGS)
    group.prepare(model)
    assert not any(type(module).__name__.startswith("Shared") for module in model.modules())
