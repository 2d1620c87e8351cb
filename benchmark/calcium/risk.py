"""Risk categories of the whole-heart Agatston score."""

import numpy as np

RISK_EDGES = (1, 10, 100, 400)
"""Agatston scores at which the next category begins: <1, [1, 10), [10, 100), [100, 400), >=400."""

RISK_NAMES = ("very low", "low", "moderate", "high", "very high")
"""Names of the categories 0 to 4, as in the MMWFAnet paper, section 4.1."""


def risk_category(agatston: float | np.ndarray) -> int | np.ndarray:
    """Return the risk category of an Agatston score.

    Parameters
    ----------
    agatston : float or numpy.ndarray
        Whole-heart scores. A negative score, as a regression may predict, is category 0.

    Returns
    -------
    int or numpy.ndarray of int
        0 to 4, in the shape of the input.

    Raises
    ------
    ValueError
        If a score is NaN or infinite: a failed prediction has no category, and must not get the
        mildest or the gravest by accident.
    """
    values = np.asarray(agatston, dtype=np.float64)
    if not np.isfinite(values).all():
        raise ValueError("an Agatston score is NaN or infinite and has no risk category")
    categories = np.searchsorted(RISK_EDGES, values, side="right")
    return int(categories) if values.ndim == 0 else categories
