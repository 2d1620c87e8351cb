"""Splits as asked for: by patient, by centre, folds, given; no patient in both parts; on disk."""

import json

import pytest

from benchmark.cohorts.base import Record
from benchmark.cohorts.split import Split, make_split
from benchmark.cohorts.split_choice import choose_split, load_split, parse_choice, save_split
from benchmark.errors import UserError

SHARE = 0.6


def records(count=40, scans=1):
    """Return records of `count` patients with so many scans each, of three centres."""
    return [
        Record(f"s{n:02}-{k}", "ABC"[n % 3], 0.0, n % 5, f"patient-{n}" if scans > 1 else "")
        for n in range(count)
        for k in range(scans)
    ]


def chosen(split=None, fold=None, seed=0, of=None):
    return choose_split(of or records(), parse_choice(split, fold, seed), SHARE)


def patients(ids):
    return {id.split("-")[0] for id in ids}


@pytest.mark.parametrize(
    "asked", [("by-risk",), ("by-patient",), ("folds:4", "2/4"), ("by-centre:A,C",)]
)
def test_no_patient_is_in_both_parts_and_none_is_lost(asked):
    of = records(scans=3)
    for seed in range(4):
        split = chosen(*asked, seed=seed, of=of)
        assert not patients(split.train) & patients(split.test)
        assert sorted((*split.train, *split.test)) == sorted(record.id for record in of)
        assert split == chosen(*asked, seed=seed, of=of[::-1]), "the order of records is nothing"


def test_by_risk_is_the_split_there_always_was():
    assert chosen("by-risk") == make_split(records(), SHARE)
    known = Split(("a", "c"), ("b",), 0)
    assert known.hash == Split(("c", "a"), ("b",), 0, "given").hash


def test_several_scans_of_a_patient_keep_the_shares():
    split = chosen("by-risk", of=records(scans=3))
    assert len(patients(split.train)) == 24
    risk = {record.id: record.risk for record in records(scans=3)}
    counts = [sum(risk[id] == k for id in split.train) for k in range(5)]
    assert max(counts) - min(counts) <= 3


def test_another_seed_is_another_split():
    for asked in (("by-risk",), ("by-patient",), (None, "1/5")):
        assert len({chosen(*asked, seed=seed).hash for seed in range(5)}) == 5


def test_folds_test_everybody_once_and_are_alike():
    folds = [chosen(None, f"{k}/5") for k in range(1, 6)]
    tested = [id for fold in folds for id in fold.test]
    assert sorted(tested) == sorted(record.id for record in records())
    risk = {record.id: record.risk for record in records()}
    for fold in folds:
        assert len(fold.test) == 8
        counts = [sum(risk[id] == k for id in fold.test) for k in range(5)]
        assert max(counts) - min(counts) <= 1
    assert folds[0].kind == "fold 1/5"


def test_the_centre_that_is_named_tests():
    split = chosen("by-centre: B")
    assert {int(id[1:3]) % 3 for id in split.test} == {1}
    assert {int(id[1:3]) % 3 for id in split.train} == {0, 2}


def test_a_patient_of_two_centres_is_refused():
    of = [*records(), Record("again", "B", 0.0, 0, "p"), Record("first", "A", 0.0, 0, "p")]
    with pytest.raises(UserError, match="one patient in both parts: first would train and again"):
        chosen("by-centre:B", of=of)


def test_given_lists_are_taken_and_the_rest_is_left_out():
    split = chosen({"train": ["s00-0", "s01-0"], "test": ["s02-0"]})
    assert (set(split.train), split.test, split.kind) == ({"s00-0", "s01-0"}, ("s02-0",), "given")


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (("by-luck",), "'by-luck' is not known; use by-risk"),
        (("by-risk:3",), "is not known"),
        (("by-centre",), "needs the centre that tests"),
        (("by-centre:D",), r"no centre 'D' \(there is: A, B, C\)"),
        (("by-centre:A,B,C",), "the training part is empty"),
        (("folds:5",), "write which of how many"),
        (("folds:5", "1/4"), "is not one of 5 folds"),
        ((None, "6/5"), "no fold 6 of 5"),
        ((None, "0/5"), "no fold 0 of 5"),
        ((None, "1/41"), "41 folds of 40 patients"),
        ((None, "two"), "write which of how many"),
        (("by-patient", "1/5"), "does not go with"),
        (("given",), "the data give none"),
        (({"train": ["s00-0"]},), "lists are train and test"),
        (({"train": "s00-0", "test": []},), "must be lists of ids"),
        (({"train": ["s00-0"], "test": ["nobody"]},), "nobody of the test part is not among"),
        (({"train": ["s00-0"], "test": ["s00-0"]},), "would both train and test"),
        (({"train": ["s00-0", "s00-0"], "test": ["s01-0"]},), "occurs more than once"),
    ],
)
def test_what_cannot_be_done_is_refused(asked, words):
    with pytest.raises(UserError, match=words):
        chosen(*asked)


def test_nothing_asked_is_no_choice():
    assert parse_choice(None) is None
    assert parse_choice(None, seed=3).kind == "by-risk"


def test_a_saved_split_comes_back_and_a_changed_one_is_refused(tmp_path):
    split = chosen("by-centre:A", seed=2)
    path = tmp_path / "new" / "split.json"
    save_split(split, path)
    assert load_split(path) == split
    values = json.loads(path.read_text())
    assert values["hash"] == split.hash
    values["test"].append(values["train"].pop())
    path.write_text(json.dumps(values))
    with pytest.raises(UserError, match=r"split.json: was changed since it was saved"):
        load_split(path)
    for text in ("", "[]", '{"train": 1}', "[" * 100_000):
        path.write_text(text)
        with pytest.raises(UserError, match="is no saved split"):
            load_split(path)
    with pytest.raises(UserError, match="cannot be read"):
        load_split(tmp_path / "none.json")


@pytest.mark.parametrize("asked", [("by-risk",), ("by-patient",), ("by-centre:A",), (None, "2/5")])
def test_a_saved_split_may_be_asked_for_and_is_the_same(tmp_path, asked):
    of = records(scans=2)
    made = chosen(*asked, seed=2, of=of)
    path = tmp_path / "split.json"
    save_split(made, path, "ab12" * 16)
    choice = parse_choice(str(path))
    assert choice.cohort == "ab12" * 4
    again = choose_split(of, choice, SHARE)
    assert (again.hash, again.kind, again.seed) == (made.hash, made.kind, made.seed)
    assert set(again.train) == set(made.train)
    with pytest.raises(UserError, match=r"split.json: split: s.* of the .* part is not among"):
        choose_split([record for record in of if record.id != made.test[0]], choice, SHARE)
    with pytest.raises(UserError, match="was made with seed 2, not 5"):
        parse_choice(str(path), seed=5)
    with pytest.raises(UserError, match="--fold 1/5 does not go with"):
        parse_choice(str(path), "1/5")
    with pytest.raises(UserError, match=r"none.json: cannot be read"):
        parse_choice(str(tmp_path / "none.json"))
