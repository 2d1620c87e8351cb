"""Speed, apart from the usual tests: ``pytest tests/speed -o addopts=""``."""

from benchmark.simulation import time_icc


def test_twelve_iccs_with_intervals_take_less_than_three_seconds():
    assert time_icc(patients=257, resamples=10_000) < 3
