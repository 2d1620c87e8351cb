"""Landmarks of calcified arteries land where the lesions are, and nowhere else."""

import pytest
import torch
from scipy import ndimage

from baselines import landmarks
from baselines.landmarks import landmark_loss, landmark_maps, lesion_numbers
from baselines.sslln import SSLLN
from benchmark.contract import Batch, losses_of

GRID = (8, 12, 12)


def empty(scans: int = 1) -> torch.Tensor:
    return torch.zeros(scans, *GRID, dtype=torch.int64)


def peaks(heat: torch.Tensor) -> list[tuple[int, ...]]:
    """(scan, artery, z, y, x) of every cell that is as hot as a landmark."""
    return [tuple(place) for place in (heat > 0.999).nonzero().tolist()]


def test_two_lesions_of_one_artery_have_a_landmark_each():
    target = empty(2)
    target[0, 2, 3, 3:6] = 1  # centroid (2, 3, 4)
    target[0, 5:7, 9, 9] = target[0, 6, 9, 10] = 1  # centroid (5.67, 9, 9.33)
    target[1, 6, 1, 9] = 3
    heat = landmark_maps(target, "lesions")
    assert heat.shape == (2, 3, *GRID)
    assert peaks(heat) == [(0, 0, 2, 3, 4), (0, 0, 6, 9, 9), (1, 2, 6, 1, 9)]
    assert not heat[0, 1:].any()
    assert not heat[1, :2].any()
    assert heat.min() >= 0
    assert heat.max() <= 1
    # two cells from a landmark: exp(-4 / 8)
    assert heat[1, 2, 6, 1, 7] == pytest.approx(0.6065, abs=1e-4)


def test_lesions_that_touch_at_a_corner_or_are_two_arteries_are_apart():
    target = empty()
    target[0, 2, 2, 2] = target[0, 3, 3, 3] = 1
    target[0, 5, 5, 5], target[0, 5, 5, 6] = 2, 3
    found = peaks(landmark_maps(target, "lesions", sigma=0.3))
    assert found == [
        *[(0, 0, 2, 2, 2), (0, 0, 3, 3, 3)],
        *[(0, 1, 5, 5, 5), (0, 2, 5, 5, 6)],
    ]


def test_landmarks_of_slices_stay_in_their_slices():
    target = empty()
    target[0, 2, 3, 4] = target[0, 2, 5, 8] = target[0, 4, 5, 6] = 1
    heat = landmark_maps(target, "slices")
    assert peaks(heat) == [(0, 0, 2, 4, 6), (0, 0, 4, 5, 6)]
    assert not heat[0, 0, 3].any()


def test_one_landmark_for_an_artery_lies_amid_its_lesions():
    target = empty()
    target[0, 2, 3, 4] = target[0, 4, 5, 6] = 1
    target[0, 6, 1, 9] = 3
    assert peaks(landmark_maps(target, "centroid")) == [(0, 0, 3, 4, 5), (0, 2, 6, 1, 9)]


@pytest.mark.parametrize("density", [0.1, 0.4])
def test_lesion_numbers_are_those_of_six_neighbours(density):
    draw = torch.Generator().manual_seed(1)
    target = torch.randint(1, 4, (2, *GRID), generator=draw)
    target *= torch.rand(2, *GRID, generator=draw) < density
    numbers = lesion_numbers(target)
    assert (numbers[target == 0] == -1).all()
    seen = set()
    for scan, mine in zip(target, numbers, strict=True):
        for artery in (1, 2, 3):
            parts, count = ndimage.label((scan == artery).numpy())
            for part in range(1, count + 1):
                (number,) = set(mine[torch.from_numpy(parts == part)].tolist())
                assert number not in seen
                seen.add(number)


def test_a_gpu_draws_the_landmarks_that_a_cpu_draws(monkeypatch):
    target = empty(3)
    target[0, 2, 3, 3:6] = 1
    target[2, 5:7, 9, 9] = 2
    here = landmark_maps(target)
    monkeypatch.setattr(landmarks, "gathers", lambda cells: False)
    torch.testing.assert_close(landmark_maps(target), here)
    assert not landmark_maps(empty()).any()


@pytest.mark.parametrize("form", landmarks.FORMS)
def test_landmark_loss_prefers_the_right_place(form):
    target = empty()
    target[0, 3, 4, 5] = 2
    heat = landmark_maps(target, form)
    right = torch.logit(heat.clamp(1e-3, 1 - 1e-3))
    wrong = right.roll(4, dims=-1)
    assert landmark_loss(right, heat) < landmark_loss(torch.zeros_like(heat), heat)
    assert landmark_loss(right, heat) < landmark_loss(wrong, heat)


def test_the_weight_scales_the_landmarks_and_nought_takes_them_away():
    target = empty()
    target[0, 3, 4, 5] = 2
    batch = Batch(
        torch.randn(1, 3, *GRID), target, target > 0, torch.zeros(1, 12), torch.zeros(1, 8, 12)
    )
    terms = {}
    for weight in (0, 0.5, 1):
        torch.manual_seed(0)
        model = SSLLN(GRID, 3, 4, landmark_weight=weight)
        terms[weight] = losses_of(model, model(batch.image), batch)
    assert set(terms[0]) == {"segmentation"}
    torch.testing.assert_close(terms[0.5]["landmarks"], terms[1]["landmarks"] / 2)
    # with and without: the same network else
    torch.testing.assert_close(terms[0]["segmentation"], terms[1]["segmentation"])


def test_unknown_landmarks_are_refused():
    with pytest.raises(ValueError, match="lesions, slices, centroid"):
        SSLLN(GRID, 3, 4, landmarks="course")
