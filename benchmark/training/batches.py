"""The training scans as tensors: the draw of batches, and augmentation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from benchmark.calcium import risk_category
from benchmark.contract import Batch
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
    """The training scans as tensors, and the random draw of batches."""

    image: Tensor
    target: Tensor
    candidate: Tensor
    scores: Tensor
    slice_scores: Tensor

    @classmethod
    def of(cls, examples: tuple[Example, ...]) -> TrainingSet:
        """Stack the training scans."""
        return cls(
            torch.from_numpy(np.stack([e.image for e in examples])),
            torch.from_numpy(np.stack([e.target for e in examples])),
            torch.from_numpy(np.stack([e.candidate for e in examples])),
            torch.from_numpy(
                np.log1p(np.stack([e.scores for e in examples])).reshape(-1, 12)
            ).float(),
            torch.from_numpy(np.log1p(np.stack([e.slice_scores for e in examples])))
            .float()
            .flatten(2),
        )

    def on(self, device: torch.device) -> TrainingSet:
        """The same scans in a GPU's memory, if they take at most `DEVICE_SHARE` of what is free.

        Batches are then drawn and augmented there: one thread of a CPU draws noise more slowly
        than a GPU trains on it.
        """
        if device.type != "cuda":
            return self
        tensors = vars(self).values()
        size = sum(tensor.nbytes for tensor in tensors)
        if size > DEVICE_SHARE * torch.cuda.mem_get_info(device)[0]:
            return self
        return TrainingSet(*(tensor.to(device) for tensor in tensors))

    @property
    def device_bytes(self) -> int:
        """Bytes of a GPU's memory that the scans take."""
        if not self.image.is_cuda:
            return 0
        return sum(tensor.nbytes for tensor in vars(self).values())

    def __len__(self) -> int:
        return len(self.image)

    def batches(self, size: int, random: np.random.Generator) -> Draw:
        """Indices, endlessly; see `Draw`."""
        return Draw(self.scores, min(size, len(self)), random)

    def take(self, index: np.ndarray) -> Batch:
        """The scans of these indices as they are."""
        chosen = torch.from_numpy(index)
        if self.image.is_cuda:
            chosen = chosen.pin_memory().to(self.image.device, non_blocking=True)
        return Batch(
            self.image[chosen].float(),
            self.target[chosen].long(),
            self.candidate[chosen],
            self.scores[chosen],
            self.slice_scores[chosen],
        )


def augment(batch: Batch, settings: Settings, random: np.random.Generator) -> Batch:
    """Shift each scan by whole cells and add noise. Never a reflection: the arteries have sides.

    Shifts come from ``random`` wherever the batch lies; the noise from a generator of its device,
    seeded from ``random``, so that a CPU's and a GPU's noise differ.
    """
    device = batch.image.device
    images, targets, candidates, slice_scores = [], [], [], []
    reach = settings.shift_cells
    for i in range(len(batch.image)):
        shifts = (
            random.integers(-(reach // 2), reach // 2 + 1),
            *random.integers(-reach, reach + 1, 2),
        )
        image, target, candidate = batch.image[i], batch.target[i], batch.candidate[i]
        parts = batch.slice_scores[i]
        for axis, shift in enumerate(shifts):
            if shift:
                size = target.shape[axis]
                index = torch.arange(size, device=device).sub_(int(shift)).clamp_(0, size - 1)
                image = image.index_select(axis + 1, index)
                target = target.index_select(axis, index)
                candidate = candidate.index_select(axis, index)
                if axis == 0:
                    parts = parts.index_select(0, index)
        images.append(image)
        targets.append(target)
        candidates.append(candidate)
        slice_scores.append(parts)
    image = torch.stack(images)
    if settings.noise:
        generator = torch.Generator(device).manual_seed(int(random.integers(2**62)))
        image += settings.noise * torch.randn(image.shape, generator=generator, device=device)
    return Batch(
        image,
        torch.stack(targets),
        torch.stack(candidates),
        batch.scores,
        torch.stack(slice_scores),
        batch.kept,
    )
