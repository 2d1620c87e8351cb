import json

import pytest
from click.testing import CliRunner

from benchmark.cli import cli
from benchmark.errors import UserError
from benchmark.report.compare import compare
from benchmark.report.compare_text import as_json, as_markdown


def line_of(found, method, source="mask"):
    return next(x for x in found.lines if (x.method, x.source) == (method, source))


def settings_of(found):
    return {setting.name: (setting.a, setting.b) for setting in found.settings}


def test_a_run_does_not_differ_from_itself(write_run):
    run = write_run({"mmwfanet": 0.9, "unet3d": 0.8})
    found = compare(run, run)
    assert found.settings == ()
    assert found.unpaired == ""
    assert {line.verdict for line in found.lines} == {"the same predictions"}
    assert all(gap.value == 0 for line in found.lines for gap in line.differences.values())


def test_what_differs_comes_first(write_run):
    a = write_run({"mmwfanet": 0.9, "unet3d": 0.8})
    b = write_run(
        {"mmwfanet": 0.9, "fcn3d": 0.8},
        suite="other",
        seeds=(0, 1, 2),
        settings={"width": 16, "options": {"mmwfanet": {"dilation": 4}}},
        key={"harness": "cc" * 8, "source": "dd" * 8},
    )
    found = compare(a, b)
    stated = settings_of(found)
    assert stated["suite"] == ("tiny", "other")
    assert stated["seeds"] == ("0, 1", "0, 1, 2")
    assert stated["setting width"] == ("8", "16")
    assert stated["tier option mmwfanet.dilation"] == ("–", "4")
    assert stated["training code"] == ("bb" * 6, "cc" * 6)
    assert stated["code of mmwfanet"] == ("aa" * 6, "dd" * 6)
    assert "cohort" not in stated, "what is the same is not listed"
    assert found.only == (("unet3d",), ("fcn3d",))
    assert not any("fcn3d" in name for name in stated)
    assert [line.method for line in found.lines] == ["mmwfanet", "mmwfanet"]


def test_a_clear_change_is_found_in_its_direction(write_run):
    a = write_run({"mmwfanet": 0.95, "unet3d": 0.8, "fcn3d": 0.8})
    b = write_run({"mmwfanet": 0.6, "unet3d": 0.8, "fcn3d": 0.95}, suite="b", key={"torch": "1"})
    found = compare(a, b)
    assert line_of(found, "mmwfanet").verdict == "lower in B"
    assert line_of(found, "mmwfanet", "head").source == "head"
    assert line_of(found, "fcn3d").verdict == "higher in B"
    gap = line_of(found, "mmwfanet").differences["F1", "whole"]
    assert gap.high < 0
    own = line_of(found, "mmwfanet")
    assert gap.value == pytest.approx(own.b["F1", "whole"].value - own.a["F1", "whole"].value)
    back = compare(b, a)
    assert line_of(back, "mmwfanet").verdict == "higher in B"


def test_seeds_count_as_noise_of_training(write_run):
    a = write_run({"mmwfanet": 0.9, "unet3d": 0.85}, seed_sd=0.1)
    b = write_run({"mmwfanet": 0.9, "unet3d": 0.85}, suite="b", seeds=(2, 3), seed_sd=0.1)
    assert {line.verdict for line in compare(a, b).lines} == {"undecided"}
    one = write_run({"unet3d": 0.95}, suite="one", seeds=(0,))
    other = write_run({"unet3d": 0.4}, suite="two", seeds=(1,))
    line = compare(one, other).lines[0]
    assert line.verdict == "undecided", "with one seed the noise of training is not known"
    assert line.differences["F1", "whole"].high < 0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"n": 50}, "60 in A, 50 in B, 50 of the same name"),
        ({"ids": [f"q{i}" for i in range(60)]}, "0 of the same name"),
        ({"ids": [f"p{i:03}" for i in range(60)][::-1]}, "in another order"),
        ({"broken": [("unet3d", 0), ("unet3d", 1)]}, "nothing in B finished"),
    ],
)
def test_other_scans_are_not_paired(write_run, changes, words):
    a = write_run({"unet3d": 0.8})
    b = write_run({"unet3d": 0.8}, suite="b", **changes)
    found = compare(a, b)
    assert words in found.unpaired
    for line in found.lines:
        assert line.verdict == "not paired"
        assert line.differences == {}
        assert line.a["F1", "whole"].low < line.a["F1", "whole"].high
    assert words in as_markdown(found)


def test_a_failed_seed_is_told(write_run):
    a = write_run({"unet3d": 0.8, "fcn3d": 0.8})
    b = write_run({"unet3d": 0.8, "fcn3d": 0.8}, suite="b", broken=[("unet3d", 1)])
    line = line_of(compare(a, b), "unet3d")
    assert line.note == "failed, counted as missing every scan: seed 1 in B"
    assert line.differences["F1", "whole"].value < 0


def test_plans_of_the_first_version_are_compared(write_run):
    a = write_run({"mmwfanet": 0.9}, old=True)
    b = write_run({"mmwfanet": 0.9}, suite="b")
    assert compare(a, b).lines[0].verdict in ("undecided", "the same predictions")


def test_every_form_and_the_command(write_run):
    a = write_run({"mmwfanet": 0.95, "unet3d": 0.8})
    b = write_run({"mmwfanet": 0.6, "unet3d": 0.8}, suite="b", settings={"width": 16})
    values = json.loads(as_json(compare(a, b)))
    assert values["lines"][0]["differences"]["F1 whole"]["value"] < 0
    for form in ("terminal", "markdown", "json"):
        found = CliRunner().invoke(cli, ["compare", str(a.folder), str(b.folder), "--format", form])
        assert found.exit_code == 0, found.output
        assert found.output.index("width") < found.output.index(
            "mmwfanet" if form == "json" else "MMWFAnet"
        )
        assert "lower in B" in found.output


def test_an_unfinished_run_is_refused(write_run):
    a = write_run({"unet3d": 0.8})
    b = write_run({"unet3d": 0.8}, suite="b")
    b.plan["cells"][0]["folder"] = "not-there"
    with pytest.raises(UserError, match="not there"):
        compare(a, b)


def test_rows_that_learn_nothing_need_no_seeds(write_run):
    a = write_run({"all-lad": 0.9, "no-gates": 0.9}, seeds=(0,), seed_sd=0)
    b = write_run({"all-lad": 0.5, "no-gates": 0.5}, seeds=(1,), seed_sd=0, suite="b")
    found = compare(a, b)
    assert line_of(found, "all-lad").verdict == "lower in B"
    # tested with its base's weights, which another seed would have made otherwise
    assert line_of(found, "no-gates").verdict == "undecided"
