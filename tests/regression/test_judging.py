"""What fails a check, what does not, and what is said of it."""

import math
from dataclasses import replace

import pytest

from benchmark.regression import judging
from benchmark.regression.cost import Cost
from benchmark.regression.judging import judge_costs, judge_figures
from benchmark.regression.table import Figures, Name

F1 = Name("net", "mask", "F1", "whole")
ERROR = Name("net", "mask", "MAE_AS", "whole")
PART = Name("net less gate", "mask", "F1", "whole")
RULE = Name("rule", "mask", "F1", "whole")


def judged(baseline, **changes):
    """The findings by name, with the baseline's means as this check's figures but for some."""
    now = {
        name: Figures(f.kind, (math.fsum(f.values) / len(f.values),) * 2)
        for name, f in baseline.table.items()
    }
    for name, values in changes.pop("values", {}).items():
        now[name] = Figures(baseline.table[name].kind, values, "as told")
    for name in changes.pop("gone", ()):
        del now[name]
    found = judge_figures(baseline.table, now, baseline.rule)
    return {finding.name: finding for finding in found}


def test_the_means_of_the_baseline_pass(made_up):
    found = judged(made_up)
    assert {f.verdict for f in found.values()} == {judging.OK}
    assert len(found) == len(made_up.table)


def test_a_fall_beyond_the_noise_fails_and_one_within_does_not(made_up):
    limit = judged(made_up)[F1].limit
    assert 0.58 < limit < 0.67
    assert judged(made_up, values={F1: (limit + 0.001,) * 2})[F1].verdict == judging.OK
    fell = judged(made_up, values={F1: (limit - 0.001,) * 2})[F1]
    assert fell.verdict == judging.FELL
    assert fell.fault
    for words in ("net, mask: F1 whole", "0.697", f"{limit - 0.001:.3f} now", f"{limit:.3f}"):
        assert words in fell.message


def test_the_mean_of_the_seeds_counts(made_up):
    limit = judged(made_up)[F1].limit
    assert judged(made_up, values={F1: (limit - 0.05, limit + 0.06)})[F1].verdict == judging.OK


def test_an_error_fails_by_rising(made_up):
    limit = judged(made_up)[ERROR].limit
    assert limit > 42
    rose = judged(made_up, values={ERROR: (limit * 1.01,) * 2})[ERROR]
    assert rose.verdict == judging.FELL
    assert "highest by its noise" in rose.message
    assert judged(made_up, values={ERROR: (20.0, 20.0)})[ERROR].verdict == judging.GAINED


def test_what_a_part_gives_fails_when_it_gives_nothing(made_up):
    assert judged(made_up, values={PART: (0.0, 0.0)})[PART].fault


def test_a_gain_is_told_and_does_not_fail(made_up):
    gained = judged(made_up, values={F1: (0.95, 0.95)})[F1]
    assert gained.verdict == judging.GAINED
    assert not gained.fault
    assert "better" in gained.message


@pytest.mark.parametrize("value", [0.41, 0.39, 0.4 + 1e-5])
def test_a_row_without_noise_may_not_move_at_all(made_up, value):
    moved = judged(made_up, values={RULE: (value,) * 2})[RULE]
    assert moved.verdict == judging.CHANGED
    assert "scans, candidates, scores or metrics" in moved.message
    assert not judged(made_up, values={RULE: (0.4 + 1e-9,) * 2})[RULE].fault


@pytest.mark.parametrize("name", [F1, RULE])
def test_what_becomes_undefined_fails(made_up, name):
    lost = judged(made_up, values={name: (0.7, math.nan) if name == F1 else (math.nan,) * 2})[name]
    assert lost.verdict == judging.UNDEFINED
    assert "undefined now (as told)" in lost.message
    assert judged(made_up, gone=[name])[name].verdict == judging.UNDEFINED


def test_what_some_seeds_of_the_baseline_lack_is_not_judged(made_up):
    values = (*made_up.table[F1].values[:-1], math.nan)
    baseline = replace(made_up, table=made_up.table | {F1: Figures("trained", values)})
    found = judged(baseline, values={F1: (0.0, 0.0)})[F1]
    assert found.verdict == judging.OPEN
    assert "undefined in 1 of 20" in found.message


def test_a_figure_too_noisy_to_fall_is_known_as_such(made_up):
    wild = tuple(float(i % 2) for i in range(20))
    baseline = replace(made_up, table=made_up.table | {F1: Figures("trained", wild)})
    assert judging.unguarded(judged(baseline)[F1])
    assert not judging.unguarded(judged(made_up)[F1])


def test_a_fall_that_other_seeds_do_not_confirm_passes(made_up):
    sound = list(judged(made_up).values())
    fell = list(judged(made_up, values={F1: (0.1, 0.1), RULE: (0.5, 0.5)}).values())
    assert judging.needs_confirming(fell)
    assert not judging.needs_confirming(sound)
    once = {f.name: f for f in judging.confirmed(fell, sound)}
    assert once[F1].verdict == judging.OK
    assert "not confirmed" in once[F1].message
    assert once[RULE].fault, "a row without noise needs no confirming"
    twice = {f.name: f for f in judging.confirmed(fell, fell)}
    assert twice[F1].verdict == judging.FELL


def costs(baseline, ratio, memory, machine=None, **more):
    machine = machine or baseline.machine
    now = {"net": Cost((ratio, ratio * 2), (memory,))} if ratio else {}
    return [f.verdict for f in judge_costs(baseline, now, more, machine)]


def test_costs_have_limits_of_their_own(made_up):
    assert costs(made_up, 1.2, 1.2e8) == [judging.OK, judging.OK]
    assert costs(made_up, 1.4, 1.0e8) == [judging.SLOWER, judging.OK]
    assert costs(made_up, 1.0, 1.4e8) == [judging.OK, judging.LARGER]
    assert costs(made_up, 0.5, 0.5e8) == [judging.GAINED, judging.GAINED]


def test_another_machine_is_given_more_room(made_up):
    other = {"device_name": "another", "versions": {"torch": "9"}}
    assert costs(made_up, 1.4, 1.4e8, other) == [judging.OK, judging.OK]
    assert costs(made_up, 2.1, 1.6e8, other) == [judging.SLOWER, judging.LARGER]


def test_noisy_sittings_widen_the_limit(made_up):
    noisy = replace(made_up, costs={"net": Cost((0.8, 1.2, 1.0, 1.1), (1e8,) * 4)})
    assert costs(noisy, 1.5, 1e8) == [judging.OK, judging.OK]


def test_a_step_that_cannot_be_measured_fails(made_up):
    assert costs(made_up, None, None, net="killed") == [judging.FAILED]
