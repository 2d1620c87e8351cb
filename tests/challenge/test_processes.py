"""Scans in several processes: the same lines and figures as in one."""

import pytest

from benchmark.challenge import processes
from benchmark.challenge.checker import check_submission
from benchmark.challenge.score import score_submission
from benchmark.cohorts.orcascore import OrcaScoreCohort


def test_check_and_score_in_two_processes_say_the_same(data, maps, change_map, monkeypatch):
    monkeypatch.setattr(processes, "FEW", 1)
    sent = maps("TR")
    change_map(sent, "TRV1P1", lambda array: array * 9)
    (sent / "TRV1P2R.raw").unlink()
    cohort = OrcaScoreCohort(data)
    ids = tuple(id for id in cohort.ids if id.startswith("TR"))
    one, two = (check_submission(sent, cohort, ids, workers=n) for n in (None, 2))
    assert len(one.faults) == 2
    assert (one.faults, one.warnings, one.lesions) == (two.faults, two.warnings, two.lesions)
    steps = []
    alone, both = (
        score_submission(sent, cohort, ids, progress=lambda *step: steps.append(step), workers=n)
        for n in (None, 2)
    )
    assert steps == [(n, len(ids)) for n in range(1, len(ids) + 1)] * 2
    assert alone.worst == both.worst
    assert {k: v.as_text() for k, v in alone.figures.items() if v.is_defined} == {
        k: v.as_text() for k, v in both.figures.items() if v.is_defined
    }


def test_few_scans_stay_in_this_process():
    seen = []
    assert list(processes.mapped(lambda id: seen.append(id) or id, ("a", "b"), 2)) == ["a", "b"]
    assert seen == ["a", "b"]


def test_a_fault_in_a_process_is_raised_here(monkeypatch):
    monkeypatch.setattr(processes, "FEW", 1)
    with pytest.raises(ValueError, match="invalid literal"):
        list(processes.mapped(int, ("1", "x"), 2))
