"""The baseline's file: written and read back, and refused in one line when it is not whole."""

import json

import pytest

from benchmark.errors import UserError
from benchmark.regression.baseline import read_baseline, write_baseline
from benchmark.regression.conditions import refuse_other


@pytest.fixture
def file(made_up, tmp_path):
    path = tmp_path / "smoke.json"
    write_baseline(path, made_up)
    return path


def test_what_was_written_comes_back(made_up, file):
    again = read_baseline(file, "make one")
    for name in ("entry", "conditions", "rule", "seeds", "costs", "machine", "history"):
        assert getattr(again, name) == getattr(made_up, name)
    assert str(again.table) == str(made_up.table), "NaN is not equal to itself"
    assert "NaN" not in file.read_text(encoding="utf-8"), "NaN is not JSON"


def test_a_figure_takes_one_line(made_up, file):
    lines = file.read_text(encoding="utf-8").splitlines()
    assert sum('"metric"' in line for line in lines) == len(made_up.table)


def broken(key, value):
    def change(text):
        values = json.loads(text)
        place = values
        *path, last = key
        for part in path:
            place = place[part]
        place[last] = value
        return json.dumps(values)

    return change


DAMAGE = {
    "empty": lambda text: "",
    "cut": lambda text: text[: len(text) // 2],
    "a list": lambda text: "[]",
    "a number": lambda text: "3",
    "binary": lambda text: "\x00\x01",
    "deep": lambda text: "[" * 100_000,
    "another format": broken(["format"], 99),
    "no figures": broken(["figures"], []),
    "figures not a list": broken(["figures"], 3),
    "a figure without values": broken(["figures", 0, "values"], []),
    "a seed less": broken(["figures", 0, "values"], [0.5] * 19),
    "a word for a figure": broken(["figures", 0, "values"], ["high"] * 20),
    "unknown kind": broken(["figures", 0, "kind"], "guess"),
    "one seed for all": broken(["seeds"], [1]),
    "rule": broken(["rule", "family"], 7),
    "costs": broken(["costs", "net", "ratios"], [1.0, -1.0]),
    "costs of another kind": broken(["costs", "net"], {"ratio": [1.0]}),
    "history": broken(["history"], [{"reason": "so"}]),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_file_is_refused_in_one_line(file, name):
    file.write_text(DAMAGE[name](file.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(UserError) as error:
        read_baseline(file, "make one with: benchmark check --update")
    assert str(error.value).startswith(f"{file}: ")
    assert "benchmark check --update" in str(error.value)


def test_no_file_or_a_folder(tmp_path):
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(UserError, match="no such baseline; make one"):
            read_baseline(path, "make one")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"setting budget": "90 steps"}, "setting budget (300 steps there, 90 steps here)"),
        ({"methods": ["a", "c"]}, "methods (a, b there, a, c here)"),
        ({"metrics version": 2}, "metrics version (1 there, 2 here)"),
        ({"split": None}, "split (x there, nothing here)"),
        ({"options of methods": {"a": "q" * 60 + "2"}}, "options of methods"),
    ],
)
def test_other_conditions_are_refused_and_named(changes, words):
    kept = {
        "setting budget": "300 steps",
        "methods": ["a", "b"],
        "metrics version": 1,
        "split": "x",
        "options of methods": {"a": "q" * 60 + "1"},
    }
    refuse_other("b.json", kept, dict(kept), "make one")
    with pytest.raises(UserError) as error:
        refuse_other("b.json", kept, kept | changes, "make one with: check --update")
    assert words in str(error.value)
    assert "check --update" in str(error.value)
