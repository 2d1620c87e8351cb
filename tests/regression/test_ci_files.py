"""The files for continuous integration: sound YAML, and no command that does not exist."""

import re
import shlex
from pathlib import Path

import click
import pytest
import yaml

from benchmark.cli import cli

ROOT = Path(__file__).parents[2]
WORKFLOW = ROOT / "docs/ci/github-actions.yml"
HOOK = ROOT / "docs/ci/pre-commit-hook.yaml"
PAGE = ROOT / "docs/ci.md"
CI = ROOT / ".ci/run"
BASELINE = "results/baselines/smoke.json"


def commands_in(text: str) -> list[list[str]]:
    """Every ``benchmark ...`` in a shell text, as arguments."""
    joined = text.replace("\\\n", " ")
    found = re.findall(r"(?:^|\s)(?:python -m )?benchmark (check[^\n|;>#`]*)", joined)
    return [shlex.split(arguments) for arguments in found]


def parse(arguments: list[str]) -> dict:
    """The options that the command line understands, or click's error."""
    name, *rest = arguments
    command = cli.commands[name]
    rest = [word.replace("$work", "work") for word in rest]
    return command.make_context(name, rest, parent=click.Context(cli)).params


def test_the_workflow_is_one_that_github_reads():
    values = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))
    # YAML 1.1 reads the key "on" as true
    assert set(values) == {"name", True, "permissions", "concurrency", "jobs"}
    assert set(values[True]) == {"pull_request", "push"}
    (job,) = values["jobs"].values()
    assert job["runs-on"].startswith("ubuntu")
    for step in job["steps"]:
        assert ("uses" in step) != ("run" in step)
        if "uses" in step:
            assert re.fullmatch(r"actions/[a-z-]+@v\d+", step["uses"])


def test_the_commands_of_the_workflow_exist():
    values = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))
    steps = next(iter(values["jobs"].values()))["steps"]
    found = [c for step in steps for c in commands_in(step.get("run", ""))]
    assert len(found) == 1
    options = parse(found[0])
    assert options["suite"] == "smoke"
    assert options["against"] == Path(BASELINE)
    upload = next(s for s in steps if "upload-artifact" in s.get("uses", ""))
    for name in ("junit", "summary"):
        assert str(options[name]) in upload["with"]["path"].split()


def test_the_cache_of_the_workflow_is_where_scans_are_made():
    from benchmark.cohorts.phantom.cohort import default_cache

    assert default_cache().parent.name == "mmwfanet"
    assert "path: ~/.cache/mmwfanet" in WORKFLOW.read_text(encoding="utf-8")


def test_the_hook_is_one_that_pre_commit_reads():
    (repo,) = yaml.safe_load(HOOK.read_text(encoding="utf-8"))
    (hook,) = repo["hooks"]
    assert repo["repo"] == "local"
    assert hook["language"] == "system"
    assert hook["stages"] == ["pre-push"]
    (found,) = commands_in(hook["entry"])
    assert parse(found)["against"] == Path(BASELINE)
    for name in ("benchmark/metrics/kappa.py", "mmwfanet/fusion.py"):
        assert re.search(hook["files"], name)


@pytest.mark.parametrize("path", [PAGE, CI])
def test_the_commands_of_the_page_and_of_our_own_ci_exist(path):
    found = commands_in(path.read_text(encoding="utf-8"))
    assert found
    for arguments in found:
        parse(arguments)


def test_the_kept_baseline_fits_this_tree(tmp_path):
    """As the first thing a check does: a change of the conditions needs --update."""
    from benchmark.regression.baseline import read_baseline
    from benchmark.regression.conditions import refuse_other, watched

    baseline = read_baseline(ROOT / BASELINE, "make one")
    refuse_other(BASELINE, baseline.conditions, watched("smoke", "smoke", tmp_path).conditions, "")
    assert baseline.rule.seeds + 2 <= len(baseline.seeds)
    assert baseline.entry.reason
