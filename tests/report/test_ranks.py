import json

import pytest
from click.testing import CliRunner

from benchmark.cli import cli
from benchmark.report.joined import join
from benchmark.report.ranks import as_json, closing, make_ranks, rank_rows


def test_ranks_stand_beside_their_figures(write_run):
    run = write_run({"unet3d": 0.7, "mmwfanet": 0.95, "dmtrl": 0.8})
    found = make_ranks(join([run]))
    first = rank_rows(found)[0]
    assert first[0] == "MMWFAnet"
    for figure in (1, 4):  # mean artery F1, F1 whole
        assert first[figure].startswith("0.9")
        assert first[figure + 1].startswith("1 [1–")
        assert first[figure + 2] == "1, 1"
    dmtrl = next(row for row in rank_rows(found) if row[0] == "DMTRL")
    assert dmtrl[1:7] == ("",) * 6, "a method without masks has no rank by masks"
    assert dmtrl[11:] == ("", "", "")
    assert found.segmentation.mean_tau == 1


def test_a_method_that_leads_one_task_alone_leads_at_some_weights_alone(write_run):
    run = write_run({"avl": 0.95, "mvl": 0.9}, head=1.0)
    leaders = make_ranks(join([run])).joint.leaders
    assert {found[2] for found in leaders} <= {0, 1}
    assert leaders[0][0] == 0
    assert leaders[-1][1] == 1


def test_references_are_not_ranked_and_failures_are_told(write_run):
    run = write_run({"unet3d": 0.7, "fcn3d": 0.8, "all-lad": 0.99}, broken=[("fcn3d", 1)])
    found = make_ranks(join([run]))
    assert "every candidate is LAD" not in found.titles
    assert any("seed 1 failed" in line for line in closing(found))
    assert found.segmentation.rank.tolist() == [1, 2], "a failed seed misses every scan"


def test_one_seed_has_no_tau(write_run):
    found = make_ranks(join([write_run({"unet3d": 0.7, "fcn3d": 0.8}, seeds=(0,))]))
    assert any("undefined: one seed" in line for line in closing(found))
    values = json.loads(as_json(found))
    assert values["tau"]["segmentation"] is None
    assert values["methods"][1]["segmentation"]["rank"] == 1


def test_the_command(write_run):
    run = write_run({"unet3d": 0.7, "mmwfanet": 0.95})
    for form in ("terminal", "markdown", "json"):
        found = CliRunner().invoke(cli, ["ranks", str(run.folder), "--format", form])
        assert found.exit_code == 0, found.output
        assert "MMWFAnet" in found.output


def test_heads_are_ranked_with_heads_and_masks_with_masks(write_run):
    both = make_ranks(join([write_run({"mmwfanet": 0.95, "avl": 0.8}, name="heads")]))
    assert both.sources == ("head", "head")
    mixed = make_ranks(join([write_run({"mmwfanet": 0.95, "unet3d": 0.7}, name="mixed", head=0.5)]))
    assert mixed.sources == ("mask", "mask")
    assert mixed.scores.rank.tolist() == [1, 2]
    assert any("are those of the mask, as not all have a head" in x for x in closing(mixed))


def test_a_method_without_the_source_of_the_others_has_no_rank_by_scores(write_run):
    rows = {"unet3d": 0.7, "mmwfanet": 0.95, "dmtrl": 0.8}
    found = make_ranks(join([write_run(rows)]))
    assert sorted(found.sources) == ["", "mask", "mask"]
    dmtrl = next(row for row in rank_rows(found) if row[0] == "DMTRL")
    assert dmtrl[7:11] == ("", "", "", "")
    assert any("mask, which 1 of 3 methods lacks" in line for line in closing(found))
    heads = make_ranks(join([write_run({"dmtrl": 0.8, "q-model": 0.9}, name="heads")]))
    assert heads.sources == ("head", "head")
    assert heads.scores.rank.tolist() == [2, 1]


def test_ranks_by_the_arteries_can_differ_from_those_by_whole(write_run):
    """One finds all of two arteries and half of the smallest, the other as much of each."""
    run = write_run({"unet3d": (0.5, 1, 1), "fcn3d": 0.84}, seed_sd=0)
    found = make_ranks(join([run]))
    assert found.segmentation.rank.tolist() == [1, 2]
    assert found.arteries.rank.tolist() == [2, 1]
    values = json.loads(as_json(found))
    mean = [figure.value for figure in found.arteries.figures]
    assert [m["arteries"]["value"] for m in values["methods"]] == pytest.approx(mean)
    assert values["tasks"]["arteries"].startswith("mean of the F1 of LAD")


def test_trained_references_are_not_ranked(write_run):
    found = make_ranks(join([write_run({"unet3d": 0.7, "fcn3d": 0.8, "two-convolutions": 0.95})]))
    assert found.titles == ("3D U-Net", "3D FCN")
