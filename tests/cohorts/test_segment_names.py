"""Names of segments as people write them, and the artery each means."""

import pytest

from benchmark.cohorts.segment_names import label_of, labels_of_names, table_of
from benchmark.errors import UserError


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("LAD", 1), ("lad_calcium", 1), ("LAD_1", 1), ("L.A.D.", None), ("LM", 1),
        ("Left main", 1), ("left-main coronary artery", 1), ("LAD + LM", 1), ("proximal LAD", 1),
        ("Left Anterior Descending Artery", 1), ("left_anterior-descending.artery", 1),
        ("左前降支", 1), ("LCX", 2), ("LCx", 2), ("Cx", 2), ("Circumflex", 2),
        ("Left  circumflex   artery", 2), ("RCA", 3), ("rca", 3), ("Right Coronary Artery", 3),
        ("Background", 0), ("aorta", None), ("Segment_1", None), ("calcium", None), ("", None),
        ("LAD and LCX", None), ("D1", None), ("left coronary artery", None), ("LAD stent", None),
        ("not LAD", None), ("1", None), ("x" * 10000, None),
    ],
)  # fmt: skip
def test_names_mean_an_artery_or_nothing(name, label):
    assert label_of(name) == label


def test_a_table_goes_before_what_names_seem_to_say():
    table = table_of({"Plaque 1": "LAD", "Aorta": "background", "RCA": 2}, "c.yaml")
    names = ["plaque_1", "aorta", "RCA", "LM"]
    assert labels_of_names(names, "a.seg.nrrd", table) == {
        "plaque_1": 1, "aorta": 0, "RCA": 2, "LM": 1,
    }  # fmt: skip


def test_names_that_are_unknown_are_refused_with_all_that_were_found():
    with pytest.raises(UserError) as caught:
        labels_of_names(["LAD", "Plaque 1", "new\nline"], "a.seg.nrrd")
    assert str(caught.value) == (
        "a.seg.nrrd: 'Plaque 1', 'new?line' are no artery's name (segments found: 'LAD', "
        "'Plaque 1', 'new?line'); name them LAD, LM, LCX or RCA"
    )


@pytest.mark.parametrize(
    "values", ["LAD", {"a": "aorta"}, {"a": 7}, {"a": True}, {"a": None}, {"a": [1]}, {"a": 1.5}]
)
def test_tables_that_say_no_artery_are_refused(values):
    with pytest.raises(UserError, match=r"c.yaml: segment"):
        table_of(values, "c.yaml")
