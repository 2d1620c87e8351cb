"""Teach the heart finder's network on phantoms: ``python -m benchmark.heart.learn``.

The hearts of the phantom are known. Scans of both cohorts are drawn without calcium on the
network's own samples, cut at random, and larger or smaller than they are; no patient takes part.
"""

from __future__ import annotations

import argparse
from hashlib import sha256
from pathlib import Path

import numpy as np

from benchmark.heart.network import CELL_MM, CHANNELS, DILATIONS, REACH, SAMPLES, WEIGHTS, cells_of
from benchmark.phantom import Patient, plan
from benchmark.phantom.draw import paint_body
from benchmark.phantom.shapes import Grid

SEED = 1_000_003
"""Of the people that it learns from: none of them is in a cohort that is judged."""
WIDTH = 10
WINDOW = (20, 22, 22)
"""Cells of one window."""
BATCH = 2
NOISE = (8.0, 110.0)
"""SD of a sample, HU: least and most."""


def lesson(index: int, protocol: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the cells of one person's scan, (6, Z, Y, X), and the share of heart, (Z, Y, X)."""
    generator = np.random.default_rng([SEED, index])
    drawn = plan(Patient.of(index, SEED, protocol))
    scanner = drawn.scanner
    larger = generator.uniform(0.85, 1.2)
    step = CELL_MM / SAMPLES / larger
    sides = (scanner.slices * scanner.thickness, scanner.field, scanner.field)
    shape = tuple(int(side / step) // SAMPLES * SAMPLES for side in sides)
    grid = Grid.centred(shape, (step,) * 3, drawn.centre)  # type: ignore[arg-type]
    volume = paint_body(drawn, grid)
    noise = np.exp(generator.uniform(*np.log(NOISE)))
    volume += generator.normal(0.0, noise, volume.shape).astype(np.float32)
    cells = cells_of(volume, (CELL_MM / SAMPLES,) * 3)
    middle = slice(SAMPLES // 2, None, SAMPLES)
    coarse = Grid(grid.z[middle], grid.y[:, middle], grid.x[:, :, middle], (step * SAMPLES,) * 3)
    nearest = np.full(coarse.shape, 1e3, np.float32)
    for chamber in drawn.heart.chambers.values():
        np.minimum(nearest, chamber.distance(coarse), out=nearest)
    return cells, np.clip(0.5 - nearest / CELL_MM, 0.0, 1.0).astype(np.float16)


def _network():
    import torch

    widths = (CHANNELS, *[WIDTH] * len(DILATIONS))
    layers: list[torch.nn.Module] = []
    for a, b, dilation in zip(widths, widths[1:], DILATIONS, strict=False):
        layers += [torch.nn.Conv3d(a, b, 3, dilation=dilation), torch.nn.ReLU()]
    return torch.nn.Sequential(*layers, torch.nn.Conv3d(WIDTH, 1, 1))


def _window(lessons, generator: np.random.Generator):
    """Cut a window out of a random scan; what lies beyond the scan, or is cut away, is unknown."""
    cells, heart = lessons[generator.integers(len(lessons))]
    size = np.array(cells.shape[1:])
    # a part of the scan, as small fields and short ranges show it
    low = (generator.uniform(0, 0.3, 3) * (generator.random(3) < 0.4) * size).astype(int)
    high = size - (generator.uniform(0, 0.3, 3) * (generator.random(3) < 0.4) * size).astype(int)
    cut = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    cells, heart = cells[(slice(None), *cut)], heart[cut]
    size = np.array(heart.shape)
    first = [
        generator.integers(min(0, n - w), max(1, n - w + 1))
        for n, w in zip(size, WINDOW, strict=True)
    ]
    data = np.zeros((CHANNELS, *[w + 2 * REACH for w in WINDOW]), np.float32)
    target = np.zeros(WINDOW, np.float32)
    for into, start, extra in ((data, np.array(first) - REACH, 2 * REACH), (target, first, 0)):
        source = cells if into is data else heart
        begin = [max(0, -f) for f in start]
        begin_in = [max(0, f) for f in start]
        length = [
            min(w + extra - b, n - i)
            for w, b, n, i in zip(WINDOW, begin, size, begin_in, strict=True)
        ]
        to = tuple(slice(b, b + max(0, n)) for b, n in zip(begin, length, strict=True))
        of = tuple(slice(i, i + max(0, n)) for i, n in zip(begin_in, length, strict=True))
        if into is data:
            into[(slice(None), *to)] = source[(slice(None), *of)]
        else:
            into[to] = source[of]
    return data, target


def learn(people: int, steps: int, workers: int, path: Path) -> None:
    """Draw the lessons, train, and write the weights."""
    from concurrent.futures import ProcessPoolExecutor

    import torch
    from rich.progress import track

    protocols = ["gated" if k % 3 == 0 else "wide" for k in range(people)]
    with ProcessPoolExecutor(workers) as pool:
        drawn = pool.map(lesson, range(people), protocols, chunksize=4)
        lessons = list(track(drawn, "drawing people", people))
    torch.manual_seed(0)
    generator = np.random.default_rng(0)
    network = _network()
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 6e-3, steps)
    loss_of = torch.nn.BCEWithLogitsLoss()
    losses = []
    for step in track(range(steps), "training"):
        pairs = [_window(lessons, generator) for _ in range(BATCH)]
        data, target = (torch.from_numpy(np.stack(part)) for part in zip(*pairs, strict=True))
        loss = loss_of(network(data)[:, 0], target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        losses.append(loss.item())
        if step % 200 == 199:
            print(f"step {step + 1}: loss {np.mean(losses[-200:]):.4f}", flush=True)
    kept = {}
    layers = [layer for layer in network if isinstance(layer, torch.nn.Conv3d)]
    for k, layer in enumerate(layers):
        kept[f"w{k}"] = layer.weight.detach().numpy().astype(np.float16).astype(np.float32)
        kept[f"b{k}"] = layer.bias.detach().numpy()
    np.savez_compressed(path, **kept)
    print(f"written: {path}")
    print(f"WEIGHTS_SHA256 of benchmark/heart/network.py: {sha256(path.read_bytes()).hexdigest()}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmark.heart.learn", description=__doc__)
    parser.add_argument("--people", type=int, default=700)
    parser.add_argument("--steps", type=int, default=2400)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    asked = parser.parse_args()
    learn(asked.people, asked.steps, asked.workers, asked.out)
