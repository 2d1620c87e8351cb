"""The training scans as tensors: the draw of batches, and augmentation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
        lie; the noise from a generator of their device, seeded from ``random``, so that a CPU's and
        a GPU's noise differ.
        """
        device, reach = self.image.device, settings.shift_cells
        count = len(index)
        image = self.image.new_empty(
            (count, *self.image.shape[1:]), dtype=torch.get_default_dtype()
        )
        target = self.target.new_empty((count, *self.target.shape[1:]), dtype=torch.int64)
        candidate = self.candidate.new_empty((count, *self.candidate.shape[1:]))
        parts = self.slice_scores.new_empty((count, *self.slice_scores.shape[1:]))
        for row, scan in enumerate(index.tolist()):
            shifts = (
                random.integers(-(reach // 2), reach // 2 + 1),
                *random.integers(-reach, reach + 1, 2),
            )
            # from where the scans are kept straight to where the batch is: each cell moves once
            shift_into(image[row], self.image[scan], shifts)
            shift_into(target[row], self.target[scan], shifts)
            shift_into(candidate[row], self.candidate[scan], shifts)
            shift_into(parts[row].T, self.slice_scores[scan].T, shifts[:1])
        if settings.noise:
            generator = torch.Generator(device).manual_seed(int(random.integers(2**62)))
            noise = torch.randn(image.shape, generator=generator, device=device)
            image += noise.mul_(settings.noise)
        return Batch(image, target, candidate, self.scores[self._places(index)], parts)

    def _places(self, index: np.ndarray) -> Tensor:
        """Indices where the scans lie; a GPU is not waited for."""
        chosen = torch.from_numpy(index)
        if self.image.is_cuda:
            chosen = chosen.pin_memory().to(self.image.device, non_blocking=True)
        return chosen


def shift_into(out: Tensor, values: Tensor, shifts: Sequence[int]) -> Tensor:
    """Write ``values`` into ``out``, shifted along the last axes; edge cells are repeated.

    Parameters
    ----------
    out, values : Tensor, (..., Z, Y, X)
        Of one shape; types may differ.
    shifts : sequence of int
        Cells for each of the last ``len(shifts)`` axes; a positive one moves towards the end.
    """
    inside, theirs, edges = [...], [...], []
    for axis, shift in enumerate(shifts, start=-len(shifts)):
        size = values.shape[axis]
        shift = max(1 - size, min(size - 1, int(shift)))
        first, last = max(0, shift), size + min(0, shift)
        inside.append(slice(first, last))
        theirs.append(slice(first - shift, last - shift))
        if shift:
            edges.append((axis, first, last))
    out[tuple(inside)] = values[tuple(theirs)]
    for axis, first, last in edges:
        # an axis at a time over the whole of the others: what they still lack is filled after
        if first:
            out.narrow(axis, 0, first).copy_(out.narrow(axis, first, 1))
        else:
            missing = out.shape[axis] - last
            out.narrow(axis, last, missing).copy_(out.narrow(axis, last - 1, 1))
    return out
