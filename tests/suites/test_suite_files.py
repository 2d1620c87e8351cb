"""Suites: what ships is sound, and what is broken is named with its line."""

import pytest

from benchmark.errors import UserError
from benchmark.methods import METHODS
from benchmark.suites import load_suite, suite_names
from benchmark.suites.load import parse_suite
from benchmark.suites.schema import SCALES, override
from benchmark.training.settings import Budget


@pytest.mark.parametrize("name", suite_names())
def test_shipped_suites_name_known_methods_and_plain_budgets(name):
    suite = load_suite(name)
    assert suite.name == name
    for method in (*suite.methods, *suite.references):
        assert method.family in METHODS
        # an unknown option would raise
        assert method.settled().options.items() >= method.options.items()
    assert all(method.trained for method in suite.methods)
    assert not any(method.trained for method in suite.references)
    for scale in suite.scales.values():
        Budget.parse(scale.settings.budget)


def test_table1_has_nine_networks_two_references_and_all_tiers():
    suite = load_suite("table1")
    assert (len(suite.methods), len(suite.references)) == (9, 2)
    assert tuple(suite.scales) == SCALES
    assert Budget.parse(suite.scales["smoke"].settings.budget).unit == "steps"
    assert Budget.parse(suite.scales["quick"].settings.budget).unit == "device-seconds"
    full = suite.scales["full"]
    assert (full.train, full.test) == (419, 257)


def test_a_suite_of_the_users_own_is_read_from_its_path(suite_file):
    methods = load_suite(str(suite_file)).methods
    assert [method.name for method in methods] == ["unet3d", "dmtrl", "mmwfanet"]


@pytest.mark.parametrize(
    ("change", "line", "words"),
    [
        (("width: 8", "widht: 8"), 14, "did you mean 'width'"),
        (("    train: 20\n", ""), 9, "'train' is missing"),
        (("train: 20", "train: many"), 10, "train"),
        (("train: 20", "train: 0"), 10, "train"),
        (("budget: 5 steps", "budget: 5 minutes"), 12, "cannot read the budget"),
        (("  smoke:", "  smoek:"), 9, "did you mean 'smoke'"),
        (("title:", "titel:"), 3, "did you mean 'title'"),
        (("references: [all-lad]", "references: [unet3d]"), 6, "named twice"),
        (("[unet3d,", "[unet3,"), 6, "did you mean 'unet3d'"),
        (("cohort: phantom", "cohort: phantom\ncohort: other"), 5, "given twice"),
        (("title: A", "title: [A"), 4, "broken YAML"),
        (("width: 8", "width: 2"), 14, "width must be at least 4"),
    ],
)
def test_a_broken_file_is_named_with_the_line(suite_file, change, line, words):
    text = suite_file.read_text(encoding="utf-8")
    assert change[0] in text
    broken = text.replace(*change)
    with pytest.raises(UserError) as error:
        parse_suite(broken, "x.yaml")
    message = str(error.value)
    assert message.startswith(f"x.yaml:{line}: ")
    assert words in message
    assert "\n" not in message


@pytest.mark.parametrize("text", ["", "- a list", "just words", "!!python/object:os.system {}"])
def test_what_is_no_suite_at_all_is_refused(text):
    with pytest.raises(UserError, match=r"x\.yaml:1: "):
        parse_suite(text, "x.yaml")


def test_unknown_suites_get_the_nearest_name():
    with pytest.raises(UserError, match="did you mean 'table1'"):
        load_suite("tabel1")
    with pytest.raises(UserError, match="no such file"):
        load_suite("nowhere.yaml")


def test_values_of_a_tier_can_be_replaced(suite_file):
    scale = load_suite(str(suite_file)).scales["smoke"]
    changed = override(
        scale, {"train": 4, "learning_rate": "1e-3", "options.mmwfanet.stem_stride": 4}
    )
    assert changed.train == 4
    assert changed.settings.learning_rate == 0.001
    assert changed.settings.options == {"mmwfanet": {"stem_stride": 4}}
    assert scale.settings.options is None
    with pytest.raises(UserError, match="did you mean 'learning_rate'"):
        override(scale, {"learningrate": 1})
    with pytest.raises(UserError, match=r"options\.METHOD\.OPTION"):
        override(scale, {"width.x": 1})
    with pytest.raises(UserError, match="cell_mm"):
        override(scale, {"cell_mm": [1, 2]})
