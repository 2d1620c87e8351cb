import csv
from dataclasses import replace

import numpy as np
import pytest

from benchmark.errors import UserError
from benchmark.figures.gain import draw_gains, find_models, gain_figures, measure_gains
from benchmark.metrics import TASKS, summarise


@pytest.fixture
def trio(make_cell):
    """The joint model, the S-model and the Q-model."""
    return [
        make_cell(skill=0.9),
        make_cell("s-model", skill=0.7, outputs=("mask",)),
        make_cell("q-model", skill=0.6, outputs=("head",)),
    ]


def figures(cell):
    return summarise(
        cell.reference, cell.head, None if cell.tp is None else (cell.tp, cell.fp, cell.fn)
    )


def test_numbers_are_f1_and_icc_of_the_right_models(trio, make_run, tmp_path):
    files = gain_figures(make_run(trio), trio, tmp_path / "out")
    assert [path.name for path in files] == [
        "fig9.pdf",
        "fig9.png",
        "fig9-pairs.csv",
        "fig9-single.csv",
        "fig9.txt",
    ]
    joint, alone_mask, alone_head = (figures(cell) for cell in trio)
    keys = [("F1", t) for t in ("LAD", "LCX", "RCA", "whole")]
    keys += [(f"ICC_{s}", t) for s in ("AS", "VS", "MS") for t in ("LAD", "LCX", "RCA", "whole")]
    single = []
    with files[3].open() as file:
        rows = list(csv.DictReader(file))
    assert [row["task"] for row in rows] == list(TASKS)
    for row, key in zip(rows, keys, strict=True):
        p = (alone_mask if key[0] == "F1" else alone_head)[key].value
        assert float(row["P alone [1]"]) == pytest.approx(p)
        assert float(row["P' together [1]"]) == pytest.approx(joint[key].value)
        single.append(joint[key].value / p)
        assert float(row["gain P'/P [1]"]) == pytest.approx(single[-1])
    with files[2].open() as file:
        pairs = [float(row["PPG [1]"]) for row in csv.DictReader(file)]
    matrix = np.reshape(pairs, (16, 16))
    np.testing.assert_allclose(matrix, np.sqrt(np.outer(single, single)))
    assert "rank 1" in files[4].read_text()


def test_measures_are_parameters(trio, make_run):
    models = find_models(make_run(trio), trio)
    found = measure_gains(models, "PPV", "PCC")
    assert found.measures == ("PPV",) * 4 + ("PCC",) * 12
    wanted = figures(trio[0])["PCC_VS", "RCA"].value / figures(trio[2])["PCC_VS", "RCA"].value
    assert found.single[TASKS.index("VS_RCA")].value == pytest.approx(wanted)


def test_rank_one_is_said_in_the_figure_and_letters_can_be_read(trio, make_run, assert_legible):
    figure = draw_gains(measure_gains(find_models(make_run(trio), trio)))
    assert "rank 1" in figure.get_supxlabel()
    assert_legible(figure)


def test_performance_not_above_zero_is_marked(trio, make_run, assert_legible, tmp_path):
    from matplotlib.patches import Rectangle

    head = trio[2].head.copy()
    truth = trio[2].reference[:, 0, 1]
    head[:, 0, 1] = truth.max() - truth
    trio[2] = replace(trio[2], head=head)
    run = make_run(trio)
    found = measure_gains(find_models(run, trio))
    figure = draw_gains(found)
    hatched = [p for p in figure.axes[0].findobj(Rectangle) if p.get_hatch()]
    assert len(hatched) == 31  # a row and a column of 16
    texts = [text.get_text() for text in figure.axes[1].texts]
    assert [t for t in texts if "undefined" in t] == ["undefined:\nICC alone ≤ 0"]
    assert_legible(figure)
    files = gain_figures(run, trio, tmp_path / "out")
    assert "AS_LCX (ICC alone <= 0)" in files[-1].read_text()
    with files[2].open() as file:
        rows = [row for row in csv.DictReader(file) if "AS_LCX" in (row["task i"], row["task j"])]
    assert len(rows) == 31
    assert all(row["PPG [1]"] == "" and "ICC alone <= 0" in row["note"] for row in rows)


def test_every_gain_undefined_is_still_a_figure(trio, make_run, assert_legible):
    nothing = replace(trio[2], head=trio[2].head * 0)
    empty = replace(trio[1], tp=trio[1].tp * 0)
    cells = [trio[0], empty, nothing]
    found = measure_gains(find_models(make_run(cells), cells))
    assert np.isnan(found.pairs).all()
    assert_legible(draw_gains(found))


def test_large_gains_stay_legible(trio, make_run, assert_legible):
    head = trio[0].reference * np.random.default_rng(0).lognormal(-4, 1, trio[0].head.shape)
    cells = [trio[0], trio[1], replace(trio[2], head=head)]
    assert_legible(draw_gains(measure_gains(find_models(make_run(cells), cells))))


def test_single_task_models_are_found_in_the_store(trio, make_run, keep_cell):
    run = make_run(trio[:1])
    with pytest.raises(UserError, match="suite table2"):
        find_models(run, trio[:1])
    keep_cell(trio[1])
    with pytest.raises(UserError, match="S-model and the Q-model"):
        find_models(run, trio[:1])
    keep_cell(trio[2])
    found = find_models(run, trio[:1])
    assert found.mask_alone[0].outputs == ("mask",)
    np.testing.assert_allclose(found.head_alone[0].head, trio[2].head)


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"split": "other"},
        {"cohort": "cd" * 32},
        {"settings": {"budget": "140 s", "width": 16}},
        {"threads": 8},
        {"options": {"heads": ["head"], "fusion": "sum"}},
    ],
)
def test_models_under_other_conditions_are_not_compared(trio, make_run, change):
    other = replace(trio[2], key={**trio[2].key, **change})
    cells = [*trio[:2], other]
    with pytest.raises(UserError, match="S-model and the Q-model"):
        find_models(make_run(cells), cells)


def test_seeds_are_paired_and_a_failed_one_left_out(make_cell, make_run):
    cells = []
    for seed in (0, 1):
        cells += [
            make_cell(seed=seed, skill=0.9),
            make_cell("s-model", seed=seed, skill=0.7, outputs=("mask",)),
            make_cell("q-model", seed=seed, skill=0.6, outputs=("head",)),
        ]
    found = find_models(make_run(cells), cells)
    for side in (found.together, found.mask_alone, found.head_alone):
        assert [cell.seed for cell in side] == [0, 1]
    cells[-1] = replace(cells[-1], state="failed")
    found = find_models(make_run(cells), cells)
    assert [cell.seed for cell in found.together] == [0]


def test_a_run_without_the_joint_model_says_so(make_cell, make_run):
    cells = [replace(make_cell("unet3d", outputs=("mask",)), key={"method": "unet3d"})]
    with pytest.raises(UserError, match="no MMWFAnet with both heads"):
        find_models(make_run(cells), cells)
