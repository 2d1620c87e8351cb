import numpy as np
import pytest
from click.testing import CliRunner
from scipy.stats import binomtest

from benchmark.cli import cli
from benchmark.errors import UserError
from benchmark.population import f1_whole, model_population, planted, run_population
from benchmark.simulation import Board, lines, share_of, simulate, time_icc

SMALL = Board(patients=120, seeds=3, methods=6)


@pytest.fixture(scope="module")
def population():
    return model_population()


@pytest.mark.parametrize("target", [0.2, 0.8, 0.97])
def test_planting_reaches_an_f1_and_keeps_the_reference(population, target):
    before = population.tp[0], population.fp[0], population.fn[0]
    tp, fp, fn = planted(*before, target)
    assert f1_whole(tp, fp, fn) == pytest.approx(target)
    np.testing.assert_allclose(tp + fn, before[0] + before[2])
    assert (tp >= 0).all()
    assert (fn >= -1e-12).all()


def test_planting_cannot_do_more_than_find_everything(population):
    tp, fp, fn = planted(population.tp[0], population.fp[0], population.fn[0], 1.0)
    assert fn.max() == pytest.approx(0)
    assert f1_whole(tp, fp, fn) < 1, "false alarms stay"


def test_one_method_under_two_names_is_mostly_undecided(population):
    found = simulate(population, SMALL, 0.0, 25)
    assert found.right.count >= 22
    assert found.right.count + found.wrong.count == 25
    assert abs(found.mean_difference) < 0.01


def test_a_large_loss_is_found_and_a_tiny_one_is_not(population):
    assert simulate(population, SMALL, 0.1, 10).right.count == 10
    assert simulate(population, SMALL, 0.0005, 10).right.count <= 2


def test_patients_alone_would_decide_too_often(population):
    noisy = model_population(seed_sd=0.03)
    found = simulate(noisy, SMALL, 0.0, 25)
    assert found.patients_alone.count < found.right.count


def test_one_seed_and_a_large_family_find_less(population):
    one = Board(patients=120, seeds=1, methods=6)
    assert simulate(population, one, 0.1, 3).right.count == 0
    loss = 0.02
    alone = simulate(population, SMALL, loss, 12)
    family = simulate(population, Board(120, 3, 6, family=40), loss, 12)
    assert family.right.count < alone.right.count


def test_a_simulation_can_be_repeated(population):
    a, b, c = (simulate(population, SMALL, 0.03, 4, seed) for seed in (1, 1, 2))
    assert a == b
    assert a.mean_difference != c.mean_difference


def test_shares_have_exact_intervals():
    for count in (0, 3, 97, 100):
        found = share_of(count, 100)
        expected = binomtest(count, 100).proportion_ci(method="exact")
        assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_patients_of_a_finished_run(write_run):
    from benchmark.runs.finished import read_cells

    run = write_run({"unet3d": 0.8, "fcn3d": 0.7, "dmtrl": 0.7}, seeds=(0, 1, 2))
    found = run_population(run.plan, read_cells(run), "fcn3d", None)
    assert found.tp.shape == (3, 60, 4)
    assert found.seed_sd_from == "measured, 4 degrees of freedom"
    assert 0 < found.seed_sd < 0.05
    with pytest.raises(UserError, match="no finished method dmtrl; with masks: unet3d, fcn3d"):
        run_population(run.plan, read_cells(run), "dmtrl", None)
    single = write_run({"unet3d": 0.8}, seeds=(0,), suite="one")
    with pytest.raises(UserError, match="--seed-sd"):
        run_population(single.plan, read_cells(single), None, None)
    assert run_population(single.plan, read_cells(single), None, 0.01).seed_sd == 0.01


def test_the_words_say_what_was_assumed(population):
    text = "\n".join(lines(population, SMALL, simulate(population, SMALL, 0.03, 2)))
    assert "SD 0.0060 (assumed)" in text
    assert "planted loss of 0.03: found in " in text
    assert "120 patients" in text


def test_the_command():
    for arguments in (["aa", "--patients", "60"], ["loss", "--patients", "60", "--loss", "0.2"]):
        found = CliRunner().invoke(cli, ["simulate", *arguments, "--repeat", "2"])
        assert found.exit_code == 0, found.output
        assert "of 2 boards" in found.output


def test_intervals_of_twelve_iccs_are_quick():
    assert time_icc(50, 200) > 0
    found = CliRunner().invoke(cli, ["simulate", "icc", "--patients", "40"])
    assert found.output.startswith("12 ICCs with intervals, 40 patients, 10,000 resamples: ")


def test_patients_with_several_scans_are_drawn_whole(write_run):
    from dataclasses import replace

    from benchmark.runs.finished import read_cells

    run = write_run({"unet3d": 0.8, "fcn3d": 0.7}, seeds=(0, 1))
    cells = read_cells(run)
    whose = tuple(i // 4 for i in range(60))
    owned = [replace(cell, patients=whose) for cell in cells]
    found = run_population(run.plan, owned, "unet3d", None)
    assert [own.tolist() for own in found.scans_of()][1] == [4, 5, 6, 7]
    once = run_population(run.plan, cells, "unet3d", None)
    assert len(once.scans_of()) == 60
    # four copies of each scan tell no more than the scan does
    copies = [np.repeat(part, 4, axis=1) for part in (once.tp, once.fp, once.fn)]
    often = replace(
        once, tp=copies[0], fp=copies[1], fn=copies[2], patients=tuple(np.repeat(range(60), 4))
    )
    board = Board(patients=30, seeds=2, methods=2)
    one, four = (simulate(source, board, 0.1, 3) for source in (once, often))
    assert four.mean_detectable == pytest.approx(one.mean_detectable)
    assert four.mean_difference == pytest.approx(one.mean_difference)
