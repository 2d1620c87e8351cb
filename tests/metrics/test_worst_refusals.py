"""What the worst-value rule refuses, word for word."""

import re

import numpy as np
import pytest

from benchmark.metrics.worst import (
    fill_missing,
    fill_missing_overlap,
    worst_overlap,
    worst_scores,
)

BAD_REFERENCE = "reference scores must be finite, not negative, and of at least one scan"
REFUSED = (
    (
        worst_scores,
        (3.0,),
        BAD_REFERENCE,
    ),
    (
        worst_scores,
        ([],),
        BAD_REFERENCE,
    ),
    (
        worst_scores,
        ([1.0, -0.1],),
        BAD_REFERENCE,
    ),
    (
        worst_scores,
        ([[1.0, 2], [3, 4]], [3, 3.9]),
        "the plausible maximum lies below a reference score, or is not finite",
    ),
    (
        worst_scores,
        ([1.0, 2], np.inf),
        "the plausible maximum lies below a reference score, or is not finite",
    ),
    (fill_missing, ([1.0], [1.0], "mae"), "metric must be one of MAE, ICC, PCC, got 'mae'"),
    (
        fill_missing,
        (np.ones((3, 2)), np.ones(3)),
        "estimated scores (3,) do not match reference scores (3, 2)",
    ),
    (
        worst_overlap,
        (np.ones((2, 3)), [9.0, 9]),
        "expected volumes (n, 4) and (n,), got (2, 3) and (2,)",
    ),
    (
        worst_overlap,
        (np.ones((2, 4)), [9.0]),
        "expected volumes (n, 4) and (n,), got (2, 4) and (1,)",
    ),
    (
        worst_overlap,
        (np.ones(4), [9.0]),
        "expected volumes (n, 4) and (n,), got (4,) and (1,)",
    ),
    *(
        (worst_overlap, bad, "reference and candidate volumes must be finite and not negative")
        for bad in (
            (np.full((1, 4), np.nan), [9.0]),
            (np.ones((1, 4)), [np.inf]),
            (np.full((1, 4), -1.0), [9.0]),
        )
    ),
    (
        worst_overlap,
        (np.array([[1.0] * 4, [0, 0, 0, 9.1]]), [9.0, 9]),
        "scan 1: more reference than candidate volume; give all candidates",
    ),
    *(
        (fill_missing_overlap, bad, "tp, fp and fn must each have shape (n_scans, 4)")
        for bad in (
            (np.ones((2, 4)), np.ones((2, 4)), np.ones((1, 4))),
            (np.ones(4), np.ones(4), np.ones(4)),
        )
    ),
    *(
        (
            fill_missing_overlap,
            (np.full((2, 4), np.nan), np.ones((2, 4)), np.ones((2, 4)), *volumes),
            "2 scans have no overlap: give reference_volume and candidate_volume",
        )
        for volumes in ((None, np.ones(2)), (np.ones((2, 4)), None))
    ),
)


@pytest.mark.parametrize(("function", "arguments", "words"), REFUSED)
def test_what_is_refused_word_for_word(function, arguments, words):
    with pytest.raises(ValueError, match=f"^{re.escape(words)}$"):
        function(*arguments)
