"""Outlines to pixels and back."""

import numpy as np
import pytest

from benchmark.cohorts.polygons import fill, outlines


def pixels(points, size=(8, 10)):
    return {(int(x), int(y)) for y, x in np.argwhere(fill(np.array(points, float), size))}


def test_a_box_holds_its_border():
    assert pixels([(2, 3), (4, 3), (4, 4), (2, 4)]) == {(x, y) for x in (2, 3, 4) for y in (3, 4)}


def test_centres_decide_between_pixels():
    assert pixels([(1.5, 1.5), (3.5, 1.5), (3.5, 2.5), (1.5, 2.5)]) == {(2, 2), (3, 2)}


def test_even_odd_rule_against_matplotlib():
    from matplotlib.path import Path

    random = np.random.default_rng(0)
    y, x = np.mgrid[:40, :50]
    for _ in range(20):
        turn = np.sort(random.uniform(0, 2 * np.pi, 12))
        radius = random.uniform(4, 18, 12)
        points = np.stack([25 + radius * np.cos(turn), 20 + radius * np.sin(turn)], axis=1)
        inside = Path(points).contains_points(np.stack([x.ravel(), y.ravel()], axis=1))
        np.testing.assert_array_equal(fill(points, (40, 50)), inside.reshape(40, 50))


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ([(3.2, 4.4)], {(3, 4)}),
        ([(3.2, 4.4), (4.9, 4.4)], {(3, 4), (5, 4)}),
        ([(3, 4), (6, 4)], {(3, 4), (4, 4), (5, 4), (6, 4)}),
        ([(3.1, 3.1), (3.3, 3.1), (3.2, 3.3)], {(3, 3)}),
        ([(-5, -5), (-3, -5)], set()),
    ],
)
def test_marks_of_few_points(points, expected):
    assert pixels(points) == expected


def test_outlines_give_the_pixels_back_whatever_their_form():
    random = np.random.default_rng(1)
    for density in (0.1, 0.5, 0.9):
        mask = random.random((20, 22)) < density
        for free in (~mask, np.zeros_like(mask)):
            covered = np.zeros_like(mask)
            for points in outlines(mask, free):
                covered |= fill(points, mask.shape)
            assert (covered & ~free == mask & ~free).all()
            assert covered[mask].all()
    assert list(outlines(np.zeros((4, 4), bool), np.ones((4, 4), bool))) == []
