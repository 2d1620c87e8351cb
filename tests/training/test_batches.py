"""Batches as they are augmented: shifts by whole cells with repeated edges, noise from one seed."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from synthetic import prepared

from benchmark.training.batches import TrainingSet, shift_into
from benchmark.training.memory import keep_freed
from benchmark.training.settings import Settings

SETTINGS = Settings(
    budget="1 steps", cell_mm=(3.0, 7.5, 7.5), width=8, batch_size=2, learning_rate=0.003
)


@pytest.mark.parametrize("shifts", [(0, 0, 0), (1, -2, 2), (-1, 0, 3), (9, -40, 5)])
def test_a_shift_repeats_the_edge_cells(shifts):
    values = torch.randn(2, 4, 5, 6).half()
    expected = values
    for axis, shift in enumerate(shifts, start=1):
        size = values.shape[axis]
        expected = expected.index_select(axis, (torch.arange(size) - shift).clamp(0, size - 1))
    found = shift_into(torch.full(values.shape, torch.nan), values, shifts)
    assert torch.equal(found, expected.float())


def test_all_parts_of_a_batch_are_shifted_alike_and_only_the_image_is_noisy():
    data = TrainingSet.of(prepared().train)
    quiet, index = replace(SETTINGS, noise=0.0), np.array([3, 0, 3])
    plain = data.augmented(index, quiet, np.random.default_rng(5))
    noisy = data.augmented(index, SETTINGS, np.random.default_rng(5))
    again = data.augmented(index, SETTINGS, np.random.default_rng(5))
    assert torch.equal(noisy.image, again.image)
    for name in ("target", "candidate", "scores", "slice_scores"):
        assert torch.equal(getattr(noisy, name), getattr(plain, name))
    assert (noisy.image - plain.image).std() == pytest.approx(SETTINGS.noise, rel=0.05)
    # a cell is a candidate where the share of voxels above 130 HU, the third channel, is not zero
    assert torch.equal(plain.candidate, plain.image[:, 2] > 0)
    assert plain.target.dtype == torch.int64
    assert not torch.equal(plain.image[0], plain.image[2])  # one scan, two shifts
    still = data.augmented(index, replace(quiet, shift_cells=0), np.random.default_rng(5))
    taken = data.take(index)
    for name in ("image", "target", "candidate", "scores", "slice_scores"):
        assert torch.equal(getattr(still, name), getattr(taken, name))


def test_freed_memory_may_be_kept_anywhere():
    assert keep_freed() in (True, False)
    assert float(torch.ones(1 << 20).sum()) == 1 << 20
