"""The time left of a training whose stages take steps of unlike cost."""

import time
from types import SimpleNamespace

import pytest

from benchmark.training import curve as module
from benchmark.training.curve import LossCurve


def test_many_cheap_steps_do_not_make_a_training_look_long(monkeypatch):
    """100 steps of the trunk, three quarters of the time, then 400 of a head."""
    now = [0.0]
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    spending, told = SimpleNamespace(fraction=0.0, samples=0), []
    curve = LossCurve(spending, lambda stage, share, loss, left: told.append((share, left)))
    curve.span(0.0, 0.2, 0.0, 0.75)
    curve.begin("joint")
    now[0], spending.fraction = 50.0, 0.1
    curve.add(1.0)
    assert told[-1] == (pytest.approx(0.375), pytest.approx(50 * 0.625 / 0.375))
    curve.span(0.2, 1.0, 0.75, 1.0)
    curve.begin("head")
    now[0], spending.fraction = 102.0, 0.6
    curve.add(1.0)
    assert told[-1] == (pytest.approx(0.875), pytest.approx(102 * 0.125 / 0.875))
    # the curve itself is drawn over what is spent
    assert [point[1] for point in curve.points] == [0.1, 0.6]


def test_without_stages_the_share_is_what_is_spent():
    spending, told = SimpleNamespace(fraction=0.25, samples=0), []
    curve = LossCurve(spending, lambda *line: told.append(line))
    curve.begin("training")
    time.sleep(0.01)
    curve.add(2.0)
    assert told[-1][1] == 0.25
