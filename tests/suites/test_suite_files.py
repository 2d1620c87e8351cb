"""Suites: what ships is sound, and what is broken is named with its line."""

from types import SimpleNamespace

import pytest

from benchmark.errors import UserError
from benchmark.methods import METHODS
from benchmark.runs.request import chosen_methods, rows_there
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
    assert all(method.reference for method in suite.references)
    assert not any(method.reference for method in suite.methods)
    for scale in suite.scales.values():
        Budget.parse(scale.settings.budget)


def test_table1_has_nine_networks_five_references_and_all_tiers():
    suite = load_suite("table1")
    assert (len(suite.methods), len(suite.references)) == (9, 5)
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
        (
            ("batch_size: 2", "batch_size: 2\n    leave_out: [all-lat]"),
            16,
            "did you mean 'all-lad'",
        ),
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


def test_every_board_of_masks_has_its_references(suite_file):
    wanted = {"nearest-25", "two-convolutions", "two-convolutions-xyz", "ceiling"}
    for name in ("table1", "table2", "table3", "parts", "readings", "fig4", "fig5"):
        assert wanted <= {method.name for method in load_suite(name).references}


def rows(asked=(), tier="quick", knows_owners=False):
    suite, cohort = load_suite("table1"), SimpleNamespace(name="fake", knows_owners=knows_owners)
    found = rows_there(chosen_methods(suite, asked), asked, suite.scales[tier], cohort)
    return {method.name for method in found}


def test_a_tier_leaves_out_rows_that_nobody_asked_for_by_name():
    assert "two-convolutions-xyz" in rows(tier="night")
    assert "two-convolutions-xyz" not in rows()
    assert rows(("unet3d", "two-convolutions-xyz")) == {"unet3d", "two-convolutions-xyz"}
    scale = override(load_suite("table1").scales["quick"], {"leave_out": []})
    assert scale.leave_out == ()


def test_the_ceiling_stands_where_the_cohort_knows_it():
    assert "ceiling" in rows(knows_owners=True)
    assert "ceiling" not in rows()
    with pytest.raises(UserError, match="ceiling: cohort fake does not know"):
        rows(("unet3d", "ceiling"))


def test_a_network_can_be_a_reference_of_ones_own_suite(suite_file):
    text = suite_file.read_text(encoding="utf-8").replace("[all-lad]", "[all-lad, resnet3d]")
    found = parse_suite(text, "x.yaml").references
    assert [(method.name, method.trained) for method in found] == [
        ("all-lad", False),
        ("resnet3d", True),
    ]
    assert all(method.reference for method in found)
