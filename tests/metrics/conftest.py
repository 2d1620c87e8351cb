"""Tables printed in papers and shipped with other programs, and a small cohort."""

from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def shrout_fleiss():
    """Shrout & Fleiss (1979), table 2: 6 targets rated by 4 judges.

    Their table 4 gives ICC(2,1) = 0.29; psych::ICC of R prints 0.29 with bounds 0.019 and 0.76.
    """
    return np.array(
        [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
    )


@pytest.fixture
def anxiety():
    """Data set `anxiety` of R's package irr: 20 subjects, 3 raters.

    The example of irr::icc, icc(anxiety, model="twoway", type="agreement"), prints
    ICC(A,1) = 0.198 and -0.039 < ICC < 0.494. kappa2(anxiety[, 2:3], "equal") gives 0.1459075
    (quoted in the tests of statsmodels).
    """
    return np.array(
        [
            [3, 3, 3, 4, 5, 5, 2, 3, 5, 2, 2, 6, 1, 5, 2, 2, 1, 2, 4, 3],
            [3, 6, 4, 6, 2, 4, 2, 4, 3, 3, 2, 3, 3, 3, 2, 2, 1, 3, 3, 4],
            [2, 1, 4, 4, 3, 2, 1, 6, 1, 1, 1, 2, 3, 3, 1, 1, 3, 3, 2, 2],
        ]
    ).T


@pytest.fixture
def sas_table():
    """A SAS printout quoted in the tests of statsmodels.

    Linearly weighted kappa 0.4701, asymptotic standard error (Fleiss, Cohen & Everitt 1969) 0.1457.
    """
    return np.array([[0, 4, 1], [0, 8, 0], [0, 1, 5]])


@pytest.fixture
def cohort():
    """Reference and estimated scores (60, 3, 4), and overlap (tp, fp, fn) of (60, 4) mm3."""
    rng = np.random.default_rng(5)
    arteries = np.exp(rng.normal(3.5, 1.3, (60, 3, 3))) * (rng.random((60, 1, 3)) > 0.3)
    reference = np.concatenate([arteries, arteries.sum(axis=2, keepdims=True)], axis=2)
    estimate = reference * np.exp(rng.normal(0, 0.2, reference.shape))
    volume = reference[:, 1]
    share = rng.beta(20, 2, volume.shape)
    return reference, estimate, (volume * share, volume * 0.05 + 0.1, volume * (1 - share))


def pytest_collection_modifyitems(items):
    """Nothing that NumPy warns of stands between a user and a figure."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.filterwarnings("error::RuntimeWarning"))
