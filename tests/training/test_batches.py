"""Batches as they are augmented: shifts by whole cells with repeated edges, noise from one seed."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats
from synthetic import prepared

from benchmark.training.batches import NOISE_BANK, TrainingSet, add_noise
from benchmark.training.memory import keep_freed
from benchmark.training.settings import Settings

SETTINGS = Settings(
    budget="1 steps", cell_mm=(3.0, 7.5, 7.5), width=8, batch_size=2, learning_rate=0.003
)


def shifted(values, shifts):
    """The last axes moved by whole cells, the edge cells repeated: cell by cell."""
    for axis, shift in enumerate(shifts, start=-len(shifts)):
        size = values.shape[axis]
        values = values.index_select(axis, (torch.arange(size) - shift).clamp(0, size - 1))
    return values


@pytest.mark.parametrize("reach", [0, 1, 2, 40])
def test_all_parts_of_a_scan_are_shifted_alike_and_edge_cells_repeated(reach):
    data = TrainingSet.of(prepared().train, reach)
    quiet, index = replace(SETTINGS, noise=0.0, shift_cells=reach), np.array([3, 0, 3])
    found = data.augmented(index, quiet, np.random.default_rng(5))
    taken = data.take(index)
    most = np.array([reach // 2, reach, reach])
    shifts = np.random.default_rng(5).integers(-most, most + 1, (3, 3)).tolist()
    for row, shift in enumerate(shifts):
        for name in ("image", "target", "candidate"):
            expected = shifted(getattr(taken, name)[row], shift)
            assert torch.equal(getattr(found, name)[row], expected)
        assert torch.equal(found.slice_scores[row].T, shifted(taken.slice_scores[row].T, shift[:1]))
    assert torch.equal(found.scores, taken.scores)
    # a cell is a candidate where the share of voxels above 130 HU, the third channel, is not zero
    assert torch.equal(found.candidate, found.image[:, 2] > 0)
    assert found.target.dtype == torch.int64


def test_scans_kept_wider_than_needed_give_the_same_batches():
    index, quiet = np.array([1, 2]), replace(SETTINGS, noise=0.0)
    one, other = (
        TrainingSet.of(prepared().train, reach).augmented(index, quiet, np.random.default_rng(5))
        for reach in (SETTINGS.shift_cells, 7)
    )
    for name in ("image", "target", "candidate", "scores", "slice_scores"):
        assert torch.equal(getattr(one, name), getattr(other, name))
    with pytest.raises(ValueError, match="shifts of 1 cells, not of 2"):
        TrainingSet.of(prepared().train, 1).augmented(index, quiet, np.random.default_rng(5))


def test_scans_as_they_are():
    train = prepared().train
    taken = TrainingSet.of(train, 2).take(np.array([2]))
    assert np.array_equal(taken.image[0].numpy(), train[2].image.astype(np.float32))
    assert np.array_equal(taken.target[0].numpy(), train[2].target)
    expected = np.log1p(train[2].slice_scores).reshape(-1, 12)
    assert taken.slice_scores[0].numpy() == pytest.approx(expected, rel=1e-6)


def test_only_the_image_is_noisy_and_a_seed_gives_the_same_noise():
    data = TrainingSet.of(prepared().train, SETTINGS.shift_cells)
    index = np.array([3, 0, 3])
    plain = data.augmented(index, replace(SETTINGS, noise=0.0), np.random.default_rng(5))
    noisy = data.augmented(index, SETTINGS, np.random.default_rng(5))
    again = data.augmented(index, SETTINGS, np.random.default_rng(5))
    assert torch.equal(noisy.image, again.image)
    for name in ("target", "candidate", "scores", "slice_scores"):
        assert torch.equal(getattr(noisy, name), getattr(plain, name))
    assert (noisy.image - plain.image).std() == pytest.approx(SETTINGS.noise, rel=0.05)


@pytest.mark.parametrize("cells", [1000, NOISE_BANK // 4 + 1])  # from the bank; drawn anew
def test_noise_is_normal_and_independent_from_scan_to_scan_and_step_to_step(cells):
    random, steps = np.random.default_rng(0), []
    for _ in range(2):
        image = torch.zeros(2, 1, cells)
        add_noise(image, 0.5, random)
        steps.append(image.view(2, cells))
    noise = torch.cat(steps).double()
    spread = 1 / cells**0.5
    assert noise.mean(1).abs().max() < 0.5 * 5 * spread
    assert noise.std(1).numpy() == pytest.approx(np.full(4, 0.5), rel=5 * spread)
    assert (torch.corrcoef(noise) - torch.eye(4)).abs().max() < 5 * spread
    neighbours = torch.corrcoef(torch.stack([noise[0, 1:], noise[0, :-1]]))
    assert abs(float(neighbours[0, 1])) < 5 * spread
    assert stats.kstest(noise[0].numpy() / 0.5, "norm").pvalue > 1e-4


def test_freed_memory_may_be_kept_anywhere():
    assert keep_freed() in (True, False)
    assert float(torch.ones(1 << 20).sum()) == 1 << 20
