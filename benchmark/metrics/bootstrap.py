"""The bootstrap over patients: resamples as weights, and the percentile interval.

Why the percentile interval and not BCa: calcium volumes and scores are zero-inflated and
heavy-tailed, so a few patients carry most of a pooled figure. The acceleration of BCa, a third
moment of the jackknife, is then mostly noise. In a simulation (30 % zeros, the rest log-normal
with sigma 1.6, 400 cohorts per size) the nominal 95 % interval held the truth in

======  ==============  ========  ===============  ========  ===========
scans   F1 percentile   F1 BCa    ICC percentile   ICC BCa   ICC F-based
======  ==============  ========  ===============  ========  ===========
40      0.90            0.85      0.83             0.75      0.51
72      0.93            0.86      0.89             0.80      0.40
120     0.92            0.87      0.90             0.84      0.34
======  ==============  ========  ===============  ========  ===========

Percentile intervals also stay within a figure's range, and one set of resamples serves every
figure, every seed and both sides of a paired comparison. They are still somewhat short for small
cohorts, as the table shows; read them so.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
SEED = 20230


@lru_cache(maxsize=8)
def resample_weights(n: int, resamples: int = RESAMPLES, seed: int = SEED) -> NDArray[np.float64]:
    """Draw how often each patient occurs in each bootstrap resample.

    A resample of a sum is then one matrix product: ``weights @ volumes``. Of patients with several
    scans `patients.scan_weights` makes weights of the scans. The answer is kept and read-only, so
    that all figures of a cohort share it.

    Parameters
    ----------
    n : int
        Number of patients.
    resamples : int
        Number of resamples B.
    seed : int
        Seed of the generator: same n, B and seed, same resamples.

    Returns
    -------
    numpy.ndarray, shape (B, n)
        Multinomial counts as float64; each row sums to n.

    Raises
    ------
    ValueError
        When n or resamples is below 1.
    """
    if n < 1 or resamples < 1:
        raise ValueError(
            f"the bootstrap needs at least one patient and one resample, got {n} and {resamples}"
        )
    generator = np.random.default_rng(seed)
    weights = generator.multinomial(n, np.full(n, 1.0 / n), size=resamples).astype(np.float64)
    weights.setflags(write=False)
    return weights


def percentile_interval(
    replicates: NDArray[np.float64], confidence: float = 0.95
) -> tuple[float, float, str]:
    """Find the percentile interval of one figure's resamples.

    Parameters
    ----------
    replicates : numpy.ndarray, shape (B,)
        The figure in each resample; NaN where it is undefined there, which is left out.
    confidence : float
        Share of the distribution between the ends.

    Returns
    -------
    low, high : float
        NaN when fewer than half of the resamples are defined.
    note : str
        Says what share of the resamples was undefined, if any was.
    """
    defined = replicates[np.isfinite(replicates)]
    share = 1.0 - defined.size / replicates.size
    note = f"{share:.1%} of resamples undefined" if share > 0 else ""
    if share > 0.5:
        return np.nan, np.nan, note + ": no interval"
    tail = (1.0 - confidence) / 2
    low, high = np.quantile(defined, [tail, 1.0 - tail])
    return float(low), float(high), note
