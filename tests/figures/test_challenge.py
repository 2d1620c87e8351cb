"""Figure 10: what is drawn, what its tables hold, and what its caption owns up to."""

import csv

import numpy as np
import pytest

from benchmark.challenge.score import ScoredSubmission
from benchmark.challenge.scorer import SIX, measures, score_patient
from benchmark.figures.challenge import (
    caption,
    challenge_figure,
    draw_challenge,
    published,
)

PAPER = {
    ("MMWFAnet (orCaScore test)", "ICC"): 0.991,
    ("MMWFAnet (orCaScore test)", "kappa"): 1.0,
    ("Cano-Espinosa (direct regression)", "kappa"): 0.9,
    ("de Vos (direct regression)", "ICC"): 0.98,
    ("de Vos (direct regression)", "kappa"): 0.98,
}


@pytest.fixture
def make_scored():
    """A function: a submission that finds the first so many of a patient's lesions."""

    def make(name="mine", found=3, patients=8, worst=()):
        scored = {}
        for number in range(patients):
            voxels = np.full((3, 6, 6), 40, np.int16)
            for z in range(3):
                voxels[z, 1, : 1 + (number + z) % 5] = 200 + 150 * (number % 3)
            reference = np.where(voxels > 130, 1, 0)
            submitted = reference.copy()
            submitted[found:] = 0
            if f"TRV1P{number}" in worst:
                submitted = None
            scored[f"TRV1P{number}"] = score_patient(voxels, reference, submitted, (3, 1, 1))
        figures = measures(tuple(scored.values()), resamples=200)
        return ScoredSubmission(name, scored, figures, tuple(worst), (), ())

    return make


def rows_of(path):
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_files_and_numbers(make_scored, tmp_path):
    both = [make_scored("full"), make_scored("part", 2)]
    files = challenge_figure(both, tmp_path)
    names = {f"fig10{end}" for end in (".pdf", ".png", ".csv", "-measures.csv", "-patients.csv")}
    assert {path.name for path in files} == names | {"fig10.txt"}
    rows = rows_of(tmp_path / "fig10.csv")
    assert len(rows) == 6 * (2 + 3)
    measured = {(r["method"], r["measure"]): r for r in rows if r["source"] == "measured"}
    for scored in both:
        found = scored.figures["F1 volume", "whole"]
        row = measured[scored.name, "F1, volume"]
        assert float(row["value [1]"]) == found.value
        assert float(row["95 % interval, low [1]"]) == found.low
        assert row["patients"] == "8"


def test_the_papers_figures_stand_as_printed_and_nothing_else_is_invented(make_scored, tmp_path):
    challenge_figure([make_scored()], tmp_path)
    rows = [r for r in rows_of(tmp_path / "fig10.csv") if r["source"] == "printed in the paper"]
    assert len(rows) == 6 * 3
    for row in rows:
        kind = {"ICC": "ICC", "kap": "kappa"}.get(row["measure"][:3], "")
        expected = PAPER.get((row["method"], kind))
        assert row["value [1]"] == ("" if expected is None else repr(expected))
        assert row["95 % interval, low [1]"] == ""


def test_the_drawing_can_be_read(make_scored, assert_legible):
    figure = draw_challenge(
        [make_scored("orcascore-submission-of-a-long-name"), make_scored("b", 1)], published()
    )
    assert_legible(figure)
    panels = [axes for axes in figure.axes if axes.get_title(loc="left")]
    assert len(panels) == len(SIX)
    words = [text.get_text() for text in panels[0].texts]
    assert words.count("not printed") == 3


def test_an_undefined_measure_is_said_and_drawn_as_such(make_scored, assert_legible):
    scored = make_scored("empty", 0)
    assert not scored.figures["PPV volume", "whole"].is_defined
    figure = draw_challenge([scored], {})
    assert_legible(figure)
    assert [text.get_text() for text in figure.axes[1].texts] == ["undefined"]


def test_caption_owns_up(make_scored):
    text = caption([make_scored(worst=("TRV1P3",))], published())
    assert "8 orCaScore training scans" in text
    assert "mine: 1 scan without a usable map" in text
    for words in ("not read off the bars", "which score", "does better here than it is"):
        assert words in text
    assert "Diamonds" not in caption([make_scored()], {})
