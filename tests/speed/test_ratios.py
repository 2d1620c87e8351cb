"""Every ratio of ``python tests/speed`` against what it must not fall to: ``pytest tests/speed``.

A floor lies below the goal, so that a busy machine does not fail it and a lost layout does.
"""

import activations
import clinical
import compiling
import harness
import intervals
import numpy as np
import peers
import pytest
import reading
import starts
import trainers
import training_steps


def refused(lines):
    return [
        f"{line.section}: {line.what}: {line.value:.3g} {line.unit}"
        for line in lines
        if not line.kept
    ]


@pytest.mark.parametrize("name", training_steps.methods())
def test_training_step(benchmark, name):
    lines = benchmark.pedantic(training_steps.measure, ((5), (name,)), rounds=1)
    benchmark.extra_info.update(percent_of_peak=lines[0].value)
    assert not refused(lines)


def test_activation_checkpointing_saves_memory(benchmark):
    assert not refused(benchmark.pedantic(activations.measure, (("mmwfanet",),), rounds=1))


def test_clinical_arithmetic(benchmark):
    assert clinical.ours() == pytest.approx(clinical.plain(), rel=1e-9)
    benchmark.pedantic(clinical.ours, rounds=5)
    assert not refused(clinical.measure())


def test_bootstraps_equal_the_loops_and_take_a_fraction_of_their_time(benchmark):
    cohort = intervals.Cohort()
    for resample in range(3):
        assert cohort.icc()[resample, 1] == pytest.approx(cohort.loop_icc(resample, 1), abs=1e-9)
        found = cohort.loop_pearson(resample, 2)
        assert cohort.pearson()[resample, 2] == pytest.approx(found, abs=1e-9)
        assert cohort.kappa()[resample] == pytest.approx(cohort.loop_kappa(resample), abs=1e-9)
        assert cohort.f1()[resample, 3] == pytest.approx(cohort.loop_f1(resample, 3), abs=1e-9)
    benchmark.pedantic(cohort.icc, rounds=3)
    assert not refused(intervals.measure())


@pytest.mark.parametrize("measure", [harness.measure, reading.measure, starts.measure])
def test_harness_reading_and_start(benchmark, measure):
    assert not refused(benchmark.pedantic(measure, rounds=1))


def test_peers(benchmark):
    lines = benchmark.pedantic(peers.measure, rounds=1)
    assert all(np.isfinite(line.value) for line in lines)


def test_nnunets_trainer(benchmark):
    lines = benchmark.pedantic(trainers.measure, ((2,), 40, 20), rounds=1)
    assert not refused(lines)


def test_compiled_step(benchmark):
    assert not refused(benchmark.pedantic(compiling.measure, (("unet3d",),), rounds=1))
