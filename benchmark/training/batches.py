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


@dataclass
class TrainingSet:
    """The training scans as tensors on the CPU, and the random draw of batches."""

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

    def __len__(self) -> int:
        return len(self.image)

    def batches(self, size: int, random: np.random.Generator) -> Iterator[np.ndarray]:
        """Indices, endlessly, each risk category equally often; a batch is always full.

        In a clinic's order a third of the steps would see no calcium at all, and the heavy patients
        on whom volumes and agreement depend would come once in ten scans. Within a category the
        scans come in a new order each time round.
        """
        size = min(size, len(self))
        category = risk_category(np.expm1(self.scores[:, 3].double().numpy()))
        members = [np.flatnonzero(category == c) for c in range(5)]
        queues = {c: random.permutation(m) for c, m in enumerate(members) if len(m)}
        order = np.empty(0, np.int64)
        while True:
            chosen = []
            while len(chosen) < size:
                if not len(order):
                    order = random.permutation(list(queues))
                kind, order = int(order[0]), order[1:]
                chosen.append(queues[kind][0])
                queues[kind] = queues[kind][1:]
                if not len(queues[kind]):
                    queues[kind] = random.permutation(members[kind])
            yield np.asarray(chosen)

    def take(self, index: np.ndarray) -> Batch:
        """The scans of these indices as they are."""
        chosen = torch.from_numpy(index)
        return Batch(
            self.image[chosen].float(),
            self.target[chosen].long(),
            self.candidate[chosen],
            self.scores[chosen],
            self.slice_scores[chosen],
        )


def augment(batch: Batch, settings: Settings, random: np.random.Generator) -> Batch:
    """Shift each scan by whole cells and add noise. Never a reflection: the arteries have sides."""
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
                index = torch.arange(size).sub_(int(shift)).clamp_(0, size - 1)
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
        generator = torch.Generator().manual_seed(int(random.integers(2**62)))
        image += settings.noise * torch.randn(image.shape, generator=generator)
    return Batch(
        image,
        torch.stack(targets),
        torch.stack(candidates),
        batch.scores,
        torch.stack(slice_scores),
        batch.kept,
    )
