"""The training scans as tensors: the draw of batches, and augmentation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from benchmark.calcium import risk_category
from benchmark.contract import SCORE_COUNT, Batch
from benchmark.training.prepare import Example
from benchmark.training.settings import Settings


class Draw(Iterator[np.ndarray]):
    """Batches of indices, endlessly, each risk category equally often; a batch is always full.

    In a clinic's order a third of the steps would see no calcium at all, and the heavy patients
    on whom volumes and agreement depend would come once in ten scans. Within a category the scans
    come in a new order each time round.

    Parameters
    ----------
    scores : Tensor, (n, 12)
        ln(1 + reference score).
    size : int
        Scans a batch.
    random : numpy.random.Generator
        Shared with the augmentation, so that its state is kept by whoever made it.
    """

    def __init__(self, scores: Tensor, size: int, random: np.random.Generator) -> None:
        category = risk_category(np.expm1(scores[:, 3].double().cpu().numpy()))
        self._size, self._random = size, random
        self._members = [np.flatnonzero(category == c) for c in range(5)]
        self._queues = {c: random.permutation(m) for c, m in enumerate(self._members) if len(m)}
        self._order = np.empty(0, np.int64)

    def __next__(self) -> np.ndarray:
        chosen = []
        while len(chosen) < self._size:
            if not len(self._order):
                self._order = self._random.permutation(list(self._queues))
            kind, self._order = int(self._order[0]), self._order[1:]
            chosen.append(self._queues[kind][0])
            self._queues[kind] = self._queues[kind][1:]
            if not len(self._queues[kind]):
                self._queues[kind] = self._random.permutation(self._members[kind])
        return np.asarray(chosen)

    def state(self) -> dict:
        """Where the draw stands, in plain values; the random generator's state is not part."""
        queues = {str(kind): queue.tolist() for kind, queue in self._queues.items()}
        return {"order": self._order.tolist(), "queues": queues}

    def restore(self, state: dict) -> None:
        """Stand where another draw over the same scans stood."""
        self._order = np.asarray(state["order"], np.int64)
        self._queues = {int(k): np.asarray(q, np.int64) for k, q in state["queues"].items()}


DEVICE_SHARE = 0.25
"""Of a GPU's free memory that the training scans may take."""


@dataclass
class TrainingSet:
    """The training scans as tensors, and the random draw of batches.

    Attributes
    ----------
    wide : dict of Tensor
        ``image`` (n, C, Z, Y, X), ``target`` and ``candidate`` (n, Z, Y, X), ``slice_scores``
        (n, Z, 12), each with its edge cells repeated on every side. A shifted scan is then one box
        of the wide one, where edges filled for each batch took longer than the scan itself.
    scores : Tensor, (n, 12)
    reach : int
        Cells by which the wide scans are wider in plane; half of it along z.
    """

    wide: dict[str, Tensor]
    scores: Tensor
    reach: int = 0

    @classmethod
    def of(cls, examples: tuple[Example, ...], reach: int = 0) -> TrainingSet:
        """The training scans, to be shifted by at most ``reach`` cells."""
        margins, scores = _margins(reach), np.stack([e.scores for e in examples])
        slices = [np.log1p(e.slice_scores).reshape(-1, SCORE_COUNT) for e in examples]
        return cls(
            {
                "image": _widened([e.image for e in examples], (0, *margins)),
                "target": _widened([e.target for e in examples], margins),
                "candidate": _widened([e.candidate for e in examples], margins),
                "slice_scores": _widened(slices, (margins[0], 0)).float(),
            },
            torch.from_numpy(np.log1p(scores).reshape(-1, SCORE_COUNT)).float(),
            reach,
        )

    @property
    def image(self) -> Tensor:
        """(n, C, Z, Y, X), as the scans are."""
        return self._inside("image")

    @property
    def target(self) -> Tensor:
        """(n, Z, Y, X)."""
        return self._inside("target")

    @property
    def candidate(self) -> Tensor:
        """(n, Z, Y, X)."""
        return self._inside("candidate")

    @property
    def slice_scores(self) -> Tensor:
        """(n, Z, 12)."""
        margin, wide = _margins(self.reach)[0], self.wide["slice_scores"]
        return wide[:, margin : wide.shape[1] - margin]

    def _inside(self, name: str) -> Tensor:
        wide = self.wide[name]
        sizes = zip(_margins(self.reach), wide.shape[-3:], strict=True)
        inside = (slice(margin, size - margin) for margin, size in sizes)
        return wide[..., *inside]

    def on(self, device: torch.device) -> TrainingSet:
        """The same scans in a GPU's memory, if they take at most `DEVICE_SHARE` of what is free.

        Batches are then drawn and augmented there: one thread of a CPU draws noise more slowly
        than a GPU trains on it.
        """
        if device.type != "cuda":
            return self
        if self._bytes > DEVICE_SHARE * torch.cuda.mem_get_info(device)[0]:
            return self
        wide = {name: tensor.to(device) for name, tensor in self.wide.items()}
        return TrainingSet(wide, self.scores.to(device), self.reach)

    @property
    def device_bytes(self) -> int:
        """Bytes of a GPU's memory that the scans take."""
        return self._bytes if self.scores.is_cuda else 0

    @property
    def _bytes(self) -> int:
        return self.scores.nbytes + sum(tensor.nbytes for tensor in self.wide.values())

    def __len__(self) -> int:
        return len(self.scores)

    def batches(self, size: int, random: np.random.Generator) -> Draw:
        """Indices, endlessly; see `Draw`."""
        return Draw(self.scores, min(size, len(self)), random)

    def take(self, index: np.ndarray) -> Batch:
        """The scans of these indices as they are."""
        chosen = self._places(index)
        return Batch(
            self.image[chosen].float(),
            self.target[chosen].long(),
            self.candidate[chosen],
            self.scores[chosen],
            self.slice_scores[chosen],
        )

    def augmented(
        self, index: np.ndarray, settings: Settings, random: np.random.Generator
    ) -> Batch:
        """The scans of these indices, each shifted by whole cells, with noise.

        Never a reflection: the arteries have sides. Shifts come from ``random`` wherever the scans
        lie; a GPU draws its noise anew, a CPU takes it from a bank (`add_noise`).

        Raises
        ------
        ValueError
            If the scans are not wide enough for the settings' shifts.
        """
        reach = settings.shift_cells
        if reach > self.reach:
            raise ValueError(f"scans kept for shifts of {self.reach} cells, not of {reach}")
        grid = self.image.shape[2:]
        image = self.scores.new_empty((len(index), self.wide["image"].shape[1], *grid))
        target = self.wide["target"].new_empty((len(index), *grid), dtype=torch.int64)
        candidate = self.wide["candidate"].new_empty((len(index), *grid))
        parts = self.scores.new_empty((len(index), grid[0], SCORE_COUNT))
        most = np.array(_margins(reach))
        shifts = random.integers(-most, most + 1, (len(index), 3))
        begins = np.array(_margins(self.reach)) - shifts
        wide = self.wide
        for row, (scan, begin) in enumerate(zip(index.tolist(), begins.tolist(), strict=True)):
            # from where the scans are kept straight to where the batch is: each cell moves once
            z, y, x = (slice(b, b + size) for b, size in zip(begin, grid, strict=True))
            image[row] = wide["image"][scan, :, z, y, x]
            target[row] = wide["target"][scan, z, y, x]
            candidate[row] = wide["candidate"][scan, z, y, x]
            parts[row] = wide["slice_scores"][scan, z]
        if settings.noise:
            add_noise(image, settings.noise, random)
        return Batch(image, target, candidate, self.scores[self._places(index)], parts)

    def _places(self, index: np.ndarray) -> Tensor:
        """Indices where the scans lie; a GPU is not waited for."""
        chosen = torch.from_numpy(index)
        if self.scores.is_cuda:
            chosen = chosen.pin_memory().to(self.scores.device, non_blocking=True)
        return chosen


def _margins(reach: int) -> tuple[int, int, int]:
    """Largest shift along z, y and x: a cell is long along z."""
    return reach // 2, reach, reach


def _widened(arrays: list[np.ndarray], margins: tuple[int, ...]) -> Tensor:
    """Stack arrays, the edge cells of each axis repeated as often as its margin says."""
    shape = [size + 2 * margin for size, margin in zip(arrays[0].shape, margins, strict=True)]
    found = np.empty((len(arrays), *shape), arrays[0].dtype)
    for row, array in enumerate(arrays):
        found[row] = np.pad(array, [(margin, margin) for margin in margins], mode="edge")
    return torch.from_numpy(found)


NOISE_BANK = 1 << 22
"""Numbers that a CPU's noise is taken from."""


@cache
def _noise_bank() -> Tensor:
    """Standard normal numbers, the same in every process."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(NOISE_BANK, generator=generator, dtype=torch.float32)


def add_noise(image: Tensor, deviation: float, random: np.random.Generator) -> None:
    """Add normal noise to a batch of scans, (B, ...), in place.

    On a CPU each scan takes a run of the bank's numbers from a random place, with a random sign:
    to draw as many anew was two thirds of all that the batches of a small grid cost. A GPU draws
    anew, and so does a CPU for scans that are large beside the bank, whose steps take seconds.
    """
    size = image[0].numel()
    if image.is_cuda or size > NOISE_BANK // 4:
        generator = torch.Generator(image.device).manual_seed(int(random.integers(2**62)))
        noise = torch.randn(image.shape, generator=generator, device=image.device)
        image += noise.mul_(deviation)
        return
    bank = _noise_bank()
    begins = random.integers(0, NOISE_BANK - size + 1, len(image)).tolist()
    signs = (2 * random.integers(0, 2, len(image)) - 1).tolist()
    for row, begin, sign in zip(image.view(len(image), -1), begins, signs, strict=True):
        row.add_(bank[begin : begin + size], alpha=sign * deviation)
