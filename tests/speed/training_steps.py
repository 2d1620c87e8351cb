"""Floating point operations a second of each method's training step, beside the machine's peak.

The step is the whole of it: losses, backward, clipping, optimiser, of the stage with the most
operations, at the quick tier's shapes. The peak is the best that a convolution reaches in the same
process, forward or forward and backward, over several shapes. FLOPs are counted by torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from ratio import Line, least
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmark.contract import Batch, Stage, stages_of
from benchmark.methods import find
from benchmark.suites.load import load_suite
from benchmark.training.loop import GRADIENT_NORM
from benchmark.training.memory import keep_freed
from benchmark.training.recipe import autocast, make_optimiser
from benchmark.training.settings import Settings

GRID = (18, 36, 36)
"""Cells of the quick tier's training grid."""

GOALS = dict.fromkeys(("mmwfanet", "arm-mtl", "sslln", "unet3d"), 60.0)
OTHERS = 35.0

FLOOR = 15.0
"""A test refuses less: a layer has left oneDNN, or a layout is converted at each layer."""

PEAK_SHAPES = (
    (80, 64, 20, 20),
    (80, 32, 40, 40),
    (40, 128, 20, 20),
    (4, 64, 16, 20, 20),
    (4, 32, 20, 36, 40),
)
"""Input of 3 x 3 (x 3) convolutions, channels last, as many channels out as in."""


def tier() -> Settings:
    """The settings of Table 1's quick tier."""
    suite = load_suite("table1")
    return suite.scales["quick"].settings


def batch(settings: Settings, grid: tuple[int, int, int] = GRID) -> Batch:
    """Random scans in which, as in a scan, one cell in ten is a candidate."""
    draw = torch.Generator().manual_seed(0)
    n = settings.batch_size
    return Batch(
        torch.randn(n, 3, *grid, generator=draw),
        torch.randint(0, 4, (n, *grid), generator=draw),
        torch.rand(n, *grid, generator=draw) < 0.1,
        5 * torch.rand(n, 12, generator=draw),
        3 * torch.rand(n, grid[0], 12, generator=draw),
    )


def step_of(stage: Stage, settings: Settings, data: Batch) -> Callable[..., Tensor]:
    """One training step, as the loop takes it; on ``data`` or the batch it is given."""
    optimiser = make_optimiser(settings, stage.parameters, settings.learning_rate)
    mixed = autocast(settings, data.image.device)

    def step(data: Batch = data) -> Tensor:
        optimiser.zero_grad(set_to_none=True)
        with mixed:
            loss = sum(stage.losses(data).values())
        loss.backward()
        nn.utils.clip_grad_norm_([p for p in stage.parameters if p.grad is not None], GRADIENT_NORM)
        optimiser.step()
        return loss.detach()

    return step


def network(name: str, settings: Settings, grid: tuple[int, int, int] = GRID) -> nn.Module:
    """A method's network with its weights drawn from one seed, learning."""
    method = find(name)
    torch.manual_seed(0)
    return method.load()(grid, 3, settings.width, **method.options).train()


def main_stage(model: nn.Module, data: Batch) -> tuple[Stage, float]:
    """The stage with the most operations a step, and those operations."""
    counted = []
    for stage in stages_of(model):
        if stage.keep is not None:
            continue
        with FlopCounterMode(display=False) as counter:
            sum(stage.losses(data).values()).backward()
        counted.append((stage, float(counter.get_total_flops())))
    model.zero_grad(set_to_none=True)
    return max(counted, key=lambda pair: pair[1])


def peak_functions() -> dict[str, tuple[Callable[[], object], float]]:
    """Convolutions that reach the peak, each with its operations."""
    found = {}
    for shape in PEAK_SHAPES:
        dims, channels = len(shape) - 2, shape[1]
        layout = (torch.channels_last, torch.channels_last_3d)[dims - 2]
        layer = (nn.Conv2d, nn.Conv3d)[dims - 2](channels, channels, 3, padding=1, bias=False)
        layer.to(memory_format=layout)
        x = torch.randn(shape).contiguous(memory_format=layout).requires_grad_()
        flops = 2.0 * 3**dims * channels * channels * shape[0] * float(np.prod(shape[2:]))

        def forward(layer=layer, x=x):
            with torch.no_grad():
                layer(x)

        def both(layer=layer, x=x):
            y = layer(x)
            y.backward(y)

        found[f"{shape} forward"] = (forward, flops)
        found[f"{shape} forward and backward"] = (both, 3 * flops)
    return found


def peak(rounds: int = 3) -> tuple[str, float]:
    """The best shape and its FLOP/s, by CPU time of all threads together."""
    functions = peak_functions()
    seconds = least({name: f for name, (f, _) in functions.items()}, rounds)
    rates = {name: flops / seconds[name] for name, (_, flops) in functions.items()}
    name = max(rates, key=rates.get)
    return name, rates[name]


def measure(rounds: int = 8, names: tuple[str, ...] | None = None) -> list[Line]:
    """A line for each method of Table 1, on one thread and its CPU time."""
    torch.set_num_threads(1)
    keep_freed()  # as in a run
    settings = tier()
    best, _ = peak()
    beside, beside_flops = peak_functions()[best]
    data, lines = batch(settings), []
    for name in names or methods():
        stage, flops = main_stage(network(name, settings), data)
        seconds = least({"step": step_of(stage, settings, data), "peak": beside}, rounds)
        rate, top = flops / seconds["step"], beside_flops / seconds["peak"]
        lines.append(
            Line(
                "training step, quick tier, one thread",
                name,
                f"{rate / 1e9:.0f} GFLOP/s ({1000 * seconds['step']:.0f} ms)",
                f"peak {top / 1e9:.0f}: {best}",
                100 * rate / top,
                "%",
                GOALS.get(name, OTHERS),
                floor=FLOOR,
            )
        )
    return lines


def methods() -> tuple[str, ...]:
    """The networks of Table 1."""
    return tuple(m.name for m in load_suite("table1").methods if m.trained)


def precision(names: tuple[str, ...] = ("mmwfanet", "unet3d"), rounds: int = 8) -> list[Line]:
    """The same step in bfloat16 (``--set precision=bfloat16``)."""
    torch.set_num_threads(1)
    settings, lines = tier(), []
    data = batch(settings)
    half = replace(settings, precision="bfloat16")
    for name in names:
        model = network(name, settings)
        stage, _ = main_stage(model, data)
        seconds = least(
            {"float32": step_of(stage, settings, data), "bfloat16": step_of(stage, half, data)},
            rounds,
        )
        lines.append(
            Line(
                "bfloat16 (an option), one thread",
                name,
                f"{1000 * seconds['bfloat16']:.0f} ms",
                f"float32 {1000 * seconds['float32']:.0f} ms",
                seconds["float32"] / seconds["bfloat16"],
                "x",
            )
        )
    return lines


def layers(name: str, rounds: int = 4) -> list[str]:
    """Each convolution of a network by itself, slowest first: where a step's time goes."""
    torch.set_num_threads(1)
    settings = tier()
    data, model, calls = batch(settings), network(name, settings), []
    kinds = (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d)
    hooks = [
        module.register_forward_hook(
            lambda m, i, o, path=path: calls.append((path, m, i[0].detach(), i[0].requires_grad))
        )
        for path, module in model.named_modules()
        if isinstance(module, kinds)
    ]
    stage, _ = main_stage(model, data)
    calls.clear()
    stage.losses(data)
    for hook in hooks:
        hook.remove()
    rows = []
    for path, module, x, learns in calls:
        x = x.requires_grad_(learns)
        wanted = [p for p in module.parameters() if p.requires_grad] + ([x] if learns else [])
        if not wanted:
            continue

        def work(module=module, x=x, wanted=wanted):
            y = module(x)
            y.backward(torch.ones_like(y))  # not autograd.grad: counting refuses a leaf's hooks
            for tensor in wanted:
                tensor.grad = None

        with FlopCounterMode(display=False) as counter:
            work()
        seconds = least({path: work}, rounds)[path]
        kernel = "x".join(map(str, module.kernel_size))
        rows.append((seconds, counter.get_total_flops(), path, tuple(x.shape), module, kernel))
    total = sum(row[0] for row in rows)
    lines = [f"{name}: {1000 * total:.0f} ms in {len(rows)} convolutions, one thread"]
    for seconds, flops, path, shape, module, kernel in sorted(rows, key=lambda row: -row[0]):
        lines.append(
            f"{1000 * seconds:8.2f} ms {flops / seconds / 1e9:6.0f} GFLOP/s  {path:<36}"
            f" {shape} to {module.out_channels}, kernel {kernel}"
        )
    return lines
