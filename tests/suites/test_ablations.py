"""Ablations: base and change in a suite, on the command line, as a grid; and what is refused."""

import pytest

from benchmark.errors import UserError
from benchmark.methods import find
from benchmark.runs.request import split_names
from benchmark.suites.load import parse_suite

HEAD = """name: own
title: Mine
cohort: phantom
methods:
  - mmwfanet
"""
TAIL = "scales: table1\n"


def methods(lines: str):
    return parse_suite(HEAD + lines + TAIL, "own.yaml").methods


def test_an_ablation_is_a_base_a_change_and_an_expectation():
    _, made = methods(
        "  - {name: mine, base: mmwfanet, change: {fusion: sum, dilation: 4}, expect: lower}\n"
    )
    assert (made.name, made.base, made.expect) == ("mine", "mmwfanet", "lower")
    assert made.change == "fusion = sum, dilation = 4"
    assert made.settled().options["fusion"] == "sum"
    assert made.settled().options["dice"] == find("mmwfanet").defaults()["dice"]


def test_a_grid_is_one_line_and_reads_1e_4_as_a_number():
    _, *made = methods("  - {base: mmwfanet, grid: {lambda_inter: [0, 1e-4, 1e-3]}}\n")
    assert [method.options for method in made] == [
        {"lambda_inter": 0},
        {"lambda_inter": 1e-4},
        {"lambda_inter": 1e-3},
    ]
    assert len({method.name for method in made}) == 3


def test_an_ablation_of_an_ablation_changes_both():
    *_, made = methods(
        "  - {name: mine, base: mmwfanet, change: {fusion: sum}}\n"
        "  - {name: more, base: mine, change: {dilation: 4}}\n"
    )
    assert made.options == {"fusion": "sum", "dilation": 4}


def test_on_the_command_line_an_ablation_is_a_name():
    text = "unet3d, mmwfanet+gates=[coronal, sagittal]+lambda_inter=1e-3,dmtrl"
    names = split_names(text)
    assert names == ["unet3d", "mmwfanet+gates=[coronal, sagittal]+lambda_inter=1e-3", "dmtrl"]
    assert find(names[1]).options == {"gates": ["coronal", "sagittal"], "lambda_inter": 1e-3}


def test_options_of_a_tier_reach_the_ablations_and_the_change_wins():
    tier = {"mmwfanet": {"stem_stride": 4, "fusion": "weighted"}}
    options = find("mmwfanet+fusion=sum").settled(tier).options
    assert (options["stem_stride"], options["fusion"]) == (4, "sum")


def test_the_same_network_under_two_names_has_the_same_options():
    default = find("mmwfanet").defaults()["lambda_inter"]
    plain, written = find("mmwfanet").settled(), find(f"mmwfanet+lambda_inter={default}").settled()
    assert plain.options == written.options


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mmwfanet+fusoin=sum", "did you mean 'fusion'"),
        ("unet3d+depth=4", "no option 'depth'"),
    ],
)
def test_an_unknown_option_is_named_with_the_nearest(name, words):
    with pytest.raises(UserError, match=words):
        find(name).settled()


@pytest.mark.parametrize("name", ["mmwfanet+fusion", "mmwfanet+fusion=", "mmwfanet+fusion=[sum"])
def test_an_option_without_a_value_is_refused(name):
    with pytest.raises(UserError, match="mmwfanet"):
        find(name)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("  - {base: mmwfanat, change: {fusion: sum}}\n", "did you mean 'mmwfanet'"),
        ("  - {base: mmwfanet}\n", "either a change"),
        ("  - {base: mmwfanet, change: {fusion: sum}, grid: {dilation: [2]}}\n", "either a change"),
        ("  - {base: mmwfanet, chnage: {fusion: sum}}\n", "did you mean 'change'"),
        ("  - {base: mmwfanet, change: {fusion: sum}, expect: worse}\n", "expect"),
        ("  - {base: mmwfanet, grid: {dilation: [2, 2]}}\n", "named twice"),
        ("  - {title: Sums, base: mmwfanet, grid: {dilation: [4]}}\n", "leave out name"),
    ],
)
def test_a_broken_ablation_is_named_with_its_line(line, words):
    with pytest.raises(UserError) as error:
        methods(line)
    assert words in str(error.value)
    assert str(error.value).startswith(("own.yaml:6:", "own.yaml:4:"))


def test_tiers_are_taken_from_another_suite_or_refused():
    from benchmark.suites import load_suite

    suite = parse_suite(HEAD + TAIL, "own.yaml")
    assert suite.scales == load_suite("table1").scales
    with pytest.raises(UserError, match="did you mean 'table1'"):
        parse_suite(HEAD + "scales: tabel1\n", "own.yaml")


def test_a_method_of_an_installed_package_is_found_by_name(monkeypatch, tmp_path):
    from benchmark import plugins
    from benchmark.methods import Method

    path = tmp_path / "net.py"
    path.write_text("class Net:\n    outputs = ('head',)\n", encoding="utf-8")
    offered = Method("their-net", "their-net", f"{path}:Net", ())
    monkeypatch.setattr(plugins, "installed", lambda: {"their-net": offered})
    assert find("their-net").outputs == ("head",)
    with pytest.raises(UserError, match="unknown method"):
        find("another-net")
