"""What only a GPU can show; skipped without one: ``pytest tests/gpu``."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from synthetic import prepared

from benchmark.contract import stages_of
from benchmark.methods import find
from benchmark.training.batches import TrainingSet
from benchmark.training.cell import run_cell
from benchmark.training.loop import Trainer
from benchmark.training.recipe import make_optimiser
from benchmark.training.settings import Settings

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")

SETTINGS = Settings("30 steps", (3.0, 7.5, 7.5), 16, 4, 0.003)
NETWORKS = ("mmwfanet", "unet3d", "fcn3d", "resnet3d")


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("name", ["mmwfanet", "arm-mtl", "dmtrl", "unet3d"])
def test_trains_and_predicts_in_every_number_format(name, precision):
    result = run_cell(
        find(name), prepared(), replace(SETTINGS, precision=precision), seed=0, device="cuda"
    )
    losses = [row[-1] for row in result.curve]
    assert np.isfinite(losses).all()
    assert np.isfinite(result.mask).all()
    assert result.ledger["device"] == "cuda"


@pytest.mark.parametrize("mode", ["default", "reduce-overhead"])
@pytest.mark.parametrize("precision", ["float32", "float16"])
@pytest.mark.parametrize("name", ["mmwfanet", "arm-mtl", "unet3d"])
def test_trains_compiled_as_without(name, precision, mode):
    plain = replace(SETTINGS, precision=precision)
    curves = []
    for settings in (plain, replace(plain, compile=mode)):
        result = run_cell(find(name), prepared(), settings, seed=0, device="cuda")
        assert np.isfinite(result.mask).all()
        curves.append([row[-1] for row in result.curve])
    assert result.ledger["compile_seconds"] > 0
    assert curves[1][0] == pytest.approx(curves[0][0], rel=0.05)
    assert np.mean(curves[1][-5:]) == pytest.approx(np.mean(curves[0][-5:]), rel=0.3)


@pytest.mark.parametrize("name", NETWORKS)
def test_loss_and_gradients_agree_with_the_cpu(name):
    data = TrainingSet.of(prepared().train).take(np.arange(4))
    found = {}
    torch.backends.cudnn.allow_tf32 = False
    for device in ("cpu", "cuda"):
        torch.manual_seed(0)
        model = find(name).load()((8, 16, 16), 3, 16).to(device)
        loss = sum(stages_of(model)[0].losses(data.to(torch.device(device))).values())
        loss.backward()
        norm = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
        found[device] = float(loss), float(norm.norm())
    assert found["cuda"] == pytest.approx(found["cpu"], rel=2e-3)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_no_step_waits_for_the_gpu(name, precision):
    device = torch.device("cuda")
    settings = replace(SETTINGS, precision=precision)
    torch.manual_seed(0)
    model = find(name).load()((8, 16, 16), 3, 16).to(device)
    scans = TrainingSet.of(prepared().train, settings.shift_cells).on(device)
    trainer = Trainer(model, scans, settings, 0, device, 1)
    stage = stages_of(model)[0]
    optimiser = make_optimiser(settings, stage.parameters, 0.001)
    batch = trainer._batch(np.arange(4), None)
    trainer._step(stage.losses, batch, optimiser, stage.parameters)  # kernels are chosen once
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        batch = trainer._batch(np.arange(4), None)
        trainer._step(stage.losses, batch, optimiser, stage.parameters)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_weights_of_slices_are_channels_last():
    model = find("mmwfanet").load()((8, 16, 16), 3, 16).to("cuda")
    assert model.stem.convolve[0].weight.is_contiguous(memory_format=torch.channels_last)


def test_scans_on_the_gpu_give_the_same_batches_as_on_the_cpu():
    data = TrainingSet.of(prepared().train, SETTINGS.shift_cells)
    there = data.on(torch.device("cuda"))
    assert there.device_bytes > 0
    assert data.device_bytes == 0
    quiet = replace(SETTINGS, noise=0.0)
    index = np.arange(4)
    ours = data.augmented(index, quiet, np.random.default_rng(3))
    theirs = there.augmented(index, quiet, np.random.default_rng(3))
    for name in ("image", "target", "candidate", "scores", "slice_scores"):
        assert getattr(theirs, name).is_cuda
        assert torch.equal(getattr(theirs, name).cpu(), getattr(ours, name))
