import math

import pytest

from benchmark.metrics.estimate import Estimate, join_notes


def test_text_shows_value_and_interval():
    assert Estimate(0.9534, 0.9405, 0.9621, 120).as_text(2) == "0.95 (0.94 to 0.96)"


def test_text_without_interval_shows_the_value_alone():
    assert Estimate(0.5, math.nan, math.nan, 3).as_text() == "0.500"


def test_undefined_shows_its_reason():
    estimate = Estimate.undefined("no reference calcium", 12)
    assert not estimate.is_defined
    assert estimate.as_text() == "undefined: no reference calcium"


def test_undefined_without_reason_is_refused():
    with pytest.raises(ValueError, match="note"):
        Estimate(math.nan, math.nan, math.nan, 12)


def test_notes_are_joined_once():
    assert join_notes("", "2 missing", "2 missing", "short") == "2 missing; short"


def test_undefined_has_no_number_at_all():
    estimate = Estimate.undefined("no scans", 0)
    assert all(math.isnan(number) for number in (estimate.value, estimate.low, estimate.high))
    assert estimate.n == 0
    with pytest.raises(ValueError, match=r"^an undefined estimate needs a note that says why$"):
        Estimate(math.nan, 0.1, 0.2, 3)


@pytest.mark.parametrize("ends", [(0.1, math.nan), (math.nan, 0.9)])
def test_half_an_interval_is_not_shown(ends):
    assert Estimate(0.5, *ends, 3).as_text() == "0.500"
