import json

import numpy as np
import pytest
from click.testing import CliRunner

from benchmark.cli import cli, main
from benchmark.errors import UserError
from benchmark.metrics.replicates import SCORE_NAMES
from benchmark.report import paper
from benchmark.report.claims import paper_claims, parse_claims
from benchmark.report.claims_text import as_json, as_markdown, claims_page, closing
from benchmark.report.joined import join
from benchmark.report.judging import judge, paper_difference

GOOD = """claims:
  - name: sum
    section: "5.2"
    says: gates above the sum
    kind: above
    metric: F1 whole
    rows: [mmwfanet (mask), mvl (mask)]
    table: table2
"""


def one(text="", **changes):
    """A single claim with some of its values replaced."""
    values = {
        "name": "one",
        "section": "5",
        "says": "a claim",
        "kind": "above",
        "metric": "F1 whole",
        "rows": ["mmwfanet (mask)", "mvl (mask)"],
        **changes,
    }
    values = {key: value for key, value in values.items() if value is not None}
    return parse_claims(json.dumps({"claims": [values]}), "mine.yaml").claims


def judged(runs, **changes):
    return judge(one(**changes), join(runs))[0]


def test_the_papers_claims_are_sound():
    found = paper_claims()
    assert len(found.claims) > 25
    assert {claim.kind for claim in found.claims} == {"above", "gain", "best", "level", "about"}
    # Holm multiplies the smallest p, 2 / 2001, by the number of claims: more than 50 of them and
    # not even the clearest could be decided
    assert len(found.claims) * 2 / 2001 < 0.05
    printed = {claim.name: paper_difference(claim) for claim in found.claims}
    for claim in found.claims:
        value = printed[claim.name]
        if claim.table in ("table1", "table2", "table3"):
            assert value is not None, claim.name
            assert value > 0, f"{claim.name}: the paper's own tables say the opposite"
    assert printed["no-inter-hurts-masks"] is None, "figure 5 prints no numbers"


def test_the_papers_differences_are_worked_out_from_its_tables():
    claims = {claim.name: claim for claim in paper_claims().claims}
    tables = paper.tables()
    f1 = {model: tables["table2", model]["F1", "whole"] for model in ("MMWFAnet", "MVL")}
    assert paper_difference(claims["mwfa-above-sum-masks"]) == pytest.approx(
        f1["MMWFAnet"] - f1["MVL"]
    )
    gains = {
        t: tables["table2", "MMWFAnet"]["F1", t] - tables["table2", "AVL"]["F1", t]
        for t in ("LAD", "RCA")
    }
    assert paper_difference(claims["gain-rca"]) == pytest.approx(gains["RCA"] - gains["LAD"])
    twelve = {
        model: np.mean(
            [
                tables["table1", model][f"ICC_{s}", t]
                for s in SCORE_NAMES
                for t in ("LAD", "LCX", "RCA", "whole")
            ]
        )
        for model in ("MMWFAnet", "3D ResNet")
    }  # 3D ResNet is the nearest rival in all of them
    assert paper_difference(claims["above-quantification"]) == pytest.approx(
        twelve["MMWFAnet"] - twelve["3D ResNet"]
    )


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("kind: above", "knid: above", 5, "unknown key 'knid'; did you mean 'kind'"),
        ("kind: above", "kind: abvoe", 5, "kind: input should be"),
        ("metric: F1 whole", "metric: F2 whole", 6, "unknown metric 'F2'"),
        ("metric: F1 whole", "metric: PPV mean", 6, "is of LAD, LCX, RCA, whole"),
        ("mvl (mask)", "mlv (mask)", 7, "unknown method 'mlv'; did you mean"),
        ("mvl (mask)", "mvl", 7, "METHOD (SOURCE)"),
        ("mvl (mask)", "mvl (head)", 7, "F1 comes from mask"),
        ("mvl (mask)", "mmwfanet (mask)", 7, "named twice"),
        (", mvl (mask)]", "]", 7, "takes 2 rows, not 1"),
        ("kind: above", "kind: gain", 2, "needs 'than'"),
        ("table: table2", "at_least: 0.9", 8, "has no 'at_least'"),
        ("table: table2", "table: table9", 8, "table"),
        ("name: sum", "name: A Sum", 2, "name"),
        ("table: table2", "table: [", 9, "broken YAML"),
        ("    table: table2", "    kind: best", 8, "given twice"),
    ],
)
def test_faults_have_file_and_line(old, new, line, words):
    assert old in GOOD
    with pytest.raises(UserError) as error:
        parse_claims(GOOD.replace(old, new), "mine.yaml")
    assert str(error.value).startswith(f"mine.yaml:{line}: ")
    assert words in str(error.value)


def test_other_faults_of_the_file():
    for text in ("[]", "claims: 3", "claims:\n- 5\n", GOOD + GOOD[8:], GOOD + "left: 1\n"):
        with pytest.raises(UserError, match=r"mine\.yaml:\d+: "):
            parse_claims(text, "mine.yaml")


def test_a_clear_claim_is_supported_and_its_reverse_contradicted(write_run):
    run = write_run({"mmwfanet": 0.95, "mvl": 0.7})
    found = judged([run])
    assert found.verdict == "supported"
    assert found.contrast.low > 0
    assert found.seeds == (0, 1)
    assert found.against == "mvl (mask)"
    reverse = judged([run], rows=["mvl (mask)", "mmwfanet (mask)"])
    assert reverse.verdict == "contradicted"
    assert reverse.contrast.value == pytest.approx(-found.contrast.value)


def test_fewer_errors_are_better(write_run):
    run = write_run({"mmwfanet": 0.95, "mvl": 0.7})
    assert judged([run], metric="MAE_AS whole").verdict == "supported"


def test_equal_methods_are_undecided(write_run):
    found = judged([write_run({"mmwfanet": 0.9, "mvl": 0.9})])
    assert found.verdict == "undecided"
    assert found.contrast.low < 0 < found.contrast.high


def test_noise_between_seeds_withholds_the_verdict(write_run):
    # patients alone see a clear difference; two seeds of one method lie further apart than that
    found = judged([write_run({"mmwfanet": 0.93, "mvl": 0.85}, seed_sd=0.15)])
    assert found.verdict == "undecided"
    assert found.patients_only in ("supported", "contradicted")


def test_one_seed_decides_nothing(write_run):
    found = judged([write_run({"mmwfanet": 0.95, "mvl": 0.5}, seeds=(0,))])
    assert found.verdict == "undecided"
    assert found.patients_only == "supported"


def test_a_larger_gain_in_one_artery(write_run):
    run = write_run({"mmwfanet": [0.9, 0.9, 0.9], "avl": [0.88, 0.5, 0.88]})
    rows = ["mmwfanet (mask)", "avl (mask)"]
    gain = {"kind": "gain", "than": "LAD", "rows": rows}
    assert judged([run], metric="F1 LCX", **gain).verdict == "supported"
    assert judged([run], metric="F1 RCA", **gain).verdict == "undecided"


def test_best_of_a_group_must_beat_its_nearest_rival(write_run):
    run = write_run({"mmwfanet": 0.95, "unet3d": 0.7, "fcn3d": 0.6, "resnet3d": 0.95})
    rows = ["mmwfanet (mask)", "fcn3d (mask)", "unet3d (mask)"]
    found = judged([run], kind="best", rows=rows)
    assert (found.verdict, found.against) == ("supported", "unet3d (mask)")
    tied = judged([run], kind="best", rows=[*rows, "resnet3d (mask)"])
    assert (tied.verdict, tied.against) == ("undecided", "resnet3d (mask)")
    lost = judged([run], kind="best", rows=rows[::-1])
    assert lost.verdict == "contradicted"


def test_levels_and_shares(write_run):
    run = write_run({"mmwfanet": 0.95})
    level = {"kind": "level", "rows": ["mmwfanet (head)"], "metric": "ICC_AS whole"}
    assert judged([run], at_least=0.5, **level).verdict == "supported"
    assert judged([run], at_least=0.999, **level).verdict == "contradicted"
    both = {"kind": "level", "rows": ["mmwfanet (both)"], "metric": "agreement_AS whole"}
    assert judged([run], at_least=0.5, **both).verdict == "supported"
    share = {"kind": "about", "rows": ["mmwfanet (head)"], "metric": "inside_AS whole"}
    near = judged([run], about=0.95, within=0.3, **share)
    assert near.verdict == "supported"
    assert near.against == "0.95"
    assert judged([run], about=0.5, within=0.05, **share).verdict == "contradicted"


def test_p_is_adjusted_over_the_judged_claims_alone(write_run):
    run = write_run({"mmwfanet": 0.95, "mvl": 0.7})
    first = one()[0]
    other = one(name="other", rows=["mmwfanet (mask)", "avl (mask)"])[0]
    alone, beside = judge([first], join([run])), judge([first, other], join([run]))
    assert beside[0].p == alone[0].p
    assert beside[1].verdict == "not judged"
    assert beside[1].missing == ("avl (mask)",)
    twice = judge([first, one(name="again", metric="PPV whole")[0]], join([run]))
    assert twice[0].p >= alone[0].p


def test_a_row_is_found_under_another_name(write_run):
    run = write_run({"mmwfanet": 0.95, "mvl": 0.7})
    rows = ["mmwfanet (mask)", "mmwfanet+fusion=sum (mask)"]
    assert judged([run], rows=rows).verdict == "supported"


def test_runs_are_joined_by_the_seeds_that_all_rows_have(write_run):
    a = write_run({"mmwfanet": 0.95}, seeds=(0, 1, 2))
    b = write_run({"mvl": 0.7}, seeds=(0, 1), suite="other")
    found = judged([a, b])
    assert found.seeds == (0, 1)
    assert found.verdict == "supported"
    c = write_run({"avl": 0.7}, seeds=(5,), suite="third")
    lone = judged([a, c], rows=["mmwfanet (mask)", "avl (mask)"])
    assert lone.verdict == "not judged"
    assert "no seed that all rows have" in lone.note


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"split": "s2"}, "split"),
        ({"fingerprint": "cd" * 16}, "cohort"),
        ({"device": "cuda"}, "device"),
        ({"settings": {"budget": "9 steps"}}, "budget"),
        ({"settings": {"width": 9}}, "width"),
        ({"settings": {"options": {"mvl": {"dilation": 4}}}}, "options"),
        ({"n": 50}, "test scans"),
    ],
)
def test_runs_made_otherwise_are_not_joined(write_run, changes, words):
    a = write_run({"mmwfanet": 0.95})
    b = write_run({"mvl": 0.7}, suite="other", **changes)
    with pytest.raises(UserError, match=words):
        join([a, b])


def test_two_results_of_one_method_and_seed_are_refused(write_run):
    a = write_run({"mmwfanet": 0.95})
    b = write_run({"mmwfanet": 0.7}, suite="other")
    with pytest.raises(UserError, match="twice with unlike results"):
        join([a, b])
    assert join([a, a]).rows.keys() == {"mmwfanet"}


def test_unlike_versions_are_told(write_run):
    a = write_run({"mmwfanet": 0.95})
    b = write_run({"mvl": 0.7}, suite="other", key={"harness": "cc" * 8})
    assert "2 versions of the training code" in " ".join(join([a, b]).notes)


def test_a_failed_seed_counts_as_missing_and_does_not_help(write_run):
    run = write_run({"mmwfanet": 0.95, "mvl": 0.7, "avl": 0.7}, broken=[("mmwfanet", 1)])
    found = judged([run])
    assert found.contrast.value < 0
    assert "seed 1 failed, counted as missing every scan" in found.note
    assert found.contrast.seed_se < 0.1, "a failure does not inflate the noise of the others"


def test_plans_of_the_first_version_are_read(write_run):
    run = write_run({"mmwfanet": 0.95, "mvl": 0.7}, old=True)
    assert judged([run]).verdict == "supported"
    missing = judged([run], rows=["mmwfanet (mask)", "mmwfanet+fusion=sum (mask)"])
    assert missing.verdict == "not judged", "without options a row is known by its name alone"


def test_every_form_says_what_it_was_judged_on(write_run):
    run = write_run({"mmwfanet": 0.95, "mvl": 0.7})
    stated = paper_claims()
    joined = join([run])
    page = claims_page(judge(stated.claims, joined), stated.left_out, joined)
    for text in (as_markdown(page), as_json(page), "\n".join(closing(page))):
        assert "the phantom is not the clinic" in text
        assert "q-model (head)" in text, "the rows that are missing"
    values = json.loads(as_json(page))
    assert sum(values["counts"].values()) == len(stated.claims) == len(values["claims"])
    entry = next(c for c in values["claims"] if c["name"] == "mwfa-above-sum-masks")
    assert entry["verdict"] == "supported"
    assert entry["low"] < entry["difference"] < entry["high"]
    assert entry["paper"] == pytest.approx(0.006)
    other = claims_page((), (), join([write_run({"mvl": 0.7}, suite="clinic", cohort="ours")]))
    assert "phantom" not in other.notes[0]


def test_the_command(write_run):
    run = write_run({"mmwfanet": 0.95, "mvl": 0.7})
    for form in ("terminal", "markdown", "json"):
        found = CliRunner().invoke(cli, ["claims", str(run.folder), "--format", form])
        assert found.exit_code == 0, found.output
        assert "weighted fusion" in found.output
        assert "supported" in found.output


def test_the_command_takes_claims_of_ones_own(write_run, tmp_path, capsys):
    run = write_run({"mmwfanet": 0.95, "mvl": 0.7})
    file = tmp_path / "mine.yaml"
    file.write_text(GOOD, encoding="utf-8")
    assert main(["claims", str(run.folder), "--claims", str(file)]) == 0
    assert "gates above the sum" in capsys.readouterr().out
    assert main(["claims", str(run.folder), "--claims", str(tmp_path / "none.yaml")]) == 2
    assert "no such file" in capsys.readouterr().err
