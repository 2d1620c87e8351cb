"""``benchmark check``."""

from __future__ import annotations

import os
from pathlib import Path

import click

from benchmark.commands.options import SEED, cache, runs_folder

_PATH = click.Path(path_type=Path)


@click.command()
@click.option("--suite", default="smoke", show_default=True, help="Name or .yaml file of a suite.")
@click.option("--scale", default="smoke", show_default=True, help="Tier of the suite.")
@click.option(
    "--against",
    type=_PATH,
    metavar="FILE",
    help="The baseline.  [default: results/baselines/SUITE.json]",
)
@click.option("--junit", type=_PATH, metavar="FILE", help="Write JUnit XML.")
@click.option("--summary", type=_PATH, metavar="FILE", help="Write a summary in Markdown.")
@click.option(
    "--github/--no-github",
    default=None,
    help="Annotations and job summary of GitHub Actions.  [default: where it runs]",
)
@click.option("--no-costs", is_flag=True, help="Leave out step time and memory.")
@click.option("--update", is_flag=True, help="Make a new baseline; needs --reason.")
@click.option("--reason", metavar="TEXT", help="Why, kept in the baseline with all before it.")
@click.option(
    "--seeds",
    type=click.IntRange(3, 1000),
    default=20,
    show_default=True,
    help="Seeds of a new baseline.",
)
@click.option(
    "--check-seeds",
    type=click.IntRange(1, 100),
    default=2,
    show_default=True,
    help="Seeds that checks against a new baseline train.",
)
@click.option(
    "--seed",
    "first_seed",
    type=SEED,
    help="First seed.  [default: 0; 100 of a new baseline]",
)
@click.option(
    "--simulate",
    type=click.IntRange(1),
    metavar="N",
    help="Train nothing: how often would an unchanged tree pass N checks?",
)
@runs_folder()
@cache
@click.option("--plain", is_flag=True, help="Plain lines instead of live bars.")
def check(suite, scale, against, update, simulate, reason, plain, **options) -> int:
    """Compare small trainings with a kept baseline: has a figure fallen by more than noise?

    Exit status 1 says that a figure fell, changed, or is undefined now, that a training failed, or
    that a step takes longer or more memory; 2 that nothing could be compared. docs/ci.md has the
    rule.
    """
    from benchmark.errors import UserError

    if update and not (reason or "").strip():
        raise UserError("--update needs --reason TEXT: what makes the new figures right")
    if reason and not update:
        raise UserError("--reason belongs to --update")
    if update and simulate:
        raise UserError("--update and --simulate cannot be had at once")
    from benchmark.suites.load import load_suite

    path = against or Path("results/baselines") / f"{load_suite(suite).name}.json"
    if simulate:
        return _simulate(suite, path, simulate)
    from benchmark.report.consoles import make_console
    from benchmark.runs.display import Display, LiveDisplay

    console = make_console()
    display = LiveDisplay(console) if console.is_terminal and not plain else Display(console)
    if update:
        return _update(suite, scale, path, " ".join(reason.split()), display, options)
    return _check(suite, scale, path, display, console, options)


def _check(suite, scale, path, display, console, options) -> int:
    from benchmark.regression import checking
    from benchmark.regression.baseline import read_baseline
    from benchmark.regression.conditions import watched

    # what may be wrong comes before minutes of training
    baseline = read_baseline(path, checking.remedy(suite, path))
    target = watched(suite, scale, options["cache"])
    for file in (options["junit"], options["summary"]):
        if file is not None:
            _writable(file)
    found = checking.check(
        target,
        path,
        baseline,
        options["out"],
        options["cache"],
        display,
        options["first_seed"] or 0,
        costs=not options["no_costs"],
    )
    from benchmark.regression.lines import print_checked
    from benchmark.regression.outputs import as_annotations, as_junit, as_markdown
    from benchmark.whole import write_text

    print_checked(found, console)
    if options["junit"]:
        write_text(options["junit"], as_junit(found))
    if options["summary"]:
        write_text(options["summary"], as_markdown(found))
    github = options["github"]
    if github is None:
        github = os.environ.get("GITHUB_ACTIONS") == "true"
    if github:
        for line in as_annotations(found):
            click.echo(line)
        if os.environ.get("GITHUB_STEP_SUMMARY"):
            # other steps of the job write into the same file
            with open(os.environ["GITHUB_STEP_SUMMARY"], "a", encoding="utf-8") as file:
                file.write(as_markdown(found))
    return 0 if found.passed else 1


def _update(suite, scale, path, reason, display, options) -> int:
    from benchmark.regression import checking
    from benchmark.regression.conditions import watched
    from benchmark.regression.lines import describe_baseline
    from benchmark.regression.rule import Rule

    first = options["first_seed"]
    baseline = checking.update(
        watched(suite, scale, options["cache"]),
        path,
        reason,
        Rule(seeds=options["check_seeds"]),
        options["seeds"],
        options["out"],
        options["cache"],
        display,
        checking.FIRST_SEED if first is None else first,
        costs=not options["no_costs"],
    )
    for line in describe_baseline(baseline):
        display.say(line)
    display.say(f"written: {path} (reason {len(baseline.history) + 1}: {reason})")
    return 0


def _simulate(suite, path, repeat) -> int:
    from benchmark.regression.baseline import read_baseline
    from benchmark.regression.checking import remedy
    from benchmark.regression.simulation import lines, simulate

    baseline = read_baseline(path, remedy(suite, path))
    found = simulate(baseline, repeat)
    for line in lines(baseline, found):
        click.echo(line)
    return 0 if found.passed == found.repeat else 1


def _writable(path: Path) -> None:
    """Try the file's folder, so that a report can be kept.

    Raises
    ------
    UserError
        If that fails, or a folder bears the file's name.
    """
    from benchmark.errors import UserError
    from benchmark.whole import require_writable

    if path.is_dir():
        raise UserError(f"cannot write to {path}: it is a folder")
    require_writable(path.parent, path)
