"""Speed, apart from the usual tests: ``pytest tests/speed -o addopts=""``.

``python -m benchmark simulate icc`` prints the first figure too.
"""

import numpy as np
import pytest

from benchmark.metrics.summary import summarise
from benchmark.simulation import time_icc


@pytest.mark.benchmark(group="metrics")
def test_twelve_iccs_with_intervals(benchmark):
    """257 patients, 10,000 resamples; target: below 3 s."""
    benchmark.pedantic(time_icc, args=(257, 10_000), rounds=3)
    assert benchmark.stats.stats.min < 3


@pytest.mark.benchmark(group="metrics")
def test_all_figures_of_120_scans(benchmark):
    """Target: below half a second."""
    rng = np.random.default_rng(0)
    reference = rng.lognormal(3, 1, (120, 3, 4))
    estimate = reference * rng.normal(1, 0.1, reference.shape)
    overlap = tuple(reference[:, 1] * share for share in (0.9, 0.05, 0.1))
    benchmark.pedantic(summarise, args=(reference, estimate, overlap), rounds=5, warmup_rounds=1)
    assert benchmark.stats.stats.min < 0.5
