"""``benchmark evaluate``."""

from __future__ import annotations

from pathlib import Path

import click

from benchmark.commands.options import cache, runs_folder, spacing
from benchmark.errors import UserError


@click.command()
@click.option(
    "--labels",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Label maps on the scans' own grids, named as the scans: ID.nii.gz, .nrrd, .mha, .mhd.",
)
@click.option(
    "--scores",
    type=click.Path(path_type=Path),
    metavar="TABLE",
    help="CSV: scan, agatston_LAD ... mass_whole, as `benchmark predict` writes it.",
)
@click.option(
    "--columns",
    type=click.Choice(["mask", "head"]),
    help="Which scores of a table that has both.",
)
@click.option("--name", default="given", show_default=True, help="Name of the row.")
@click.option("--run", "run", help="Put the row on this run's board: its test scans alone count.")
@click.option(
    "--cohort", help="Name (see: benchmark list cohorts); with --data a format, if need be."
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Scans of your own with reference labels: a folder, a CSV table or a cohort file.",
)
@click.option(
    "--missing",
    type=click.Choice(["refuse", "worst"]),
    default="refuse",
    show_default=True,
    help="What a scan without a prediction means; worst: it takes the worst value.",
)
@click.option(
    "--others",
    type=click.Choice(["refuse", "ignore"]),
    default="refuse",
    show_default=True,
    help="What a prediction of another scan means.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="For the board as Markdown, CSV and JSON and for the scores of every scan.",
)
@click.option("--metrics", is_flag=True, help="Also volume, mass, sensitivity and PPV by artery.")
@click.option(
    "--hidden",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Hidden labels of `benchmark split --hold-out`; --data is then the public part.",
)
@click.option(
    "--submission",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Of --hidden: what was sent in, to be checked, scored and added to the board.",
)
@runs_folder("--runs")
@spacing
@cache
@click.option("--plain", is_flag=True, help="Plain lines instead of live bars.")
def evaluate(
    labels,
    scores,
    name,
    run,
    cohort,
    data,
    out,
    metrics,
    runs,
    hidden,
    submission,
    plain,
    **options,
) -> int:
    """Judge anyone's labels or scores as the leaderboard judges its own.

    \b
    benchmark evaluate --labels FOLDER --data PATH            against your reference labels
    benchmark evaluate --scores TABLE.csv --run table1        one more row on a run's board
    benchmark evaluate --submission FOLDER --data PUBLIC --hidden HIDDEN --out BOARD

    Label maps go through the component vote that every network here goes through; how much it
    changed is said. Exit status 1 if a label map could not be used.
    """
    if hidden is not None or submission is not None:
        if labels or scores or run or cohort:
            raise UserError("--hidden takes --submission and --data PUBLIC, and names nothing else")
        return _score_hidden(submission, data, hidden, out, metrics, plain)
    if (labels is None) == (scores is None):
        raise UserError("give either --labels FOLDER or --scores TABLE")
    for path in (labels, scores, data):
        if path is not None and not path.exists():
            raise UserError(f"no such file or folder: {path}")
    if run is None and cohort is None and data is None:
        raise UserError("say what to judge by: --data PATH, --cohort NAME or --run RUN")
    if options["columns"] and scores is None:
        raise UserError("--columns is for --scores")

    from benchmark.prediction.evaluate import evaluate_on_cohort, evaluate_on_run
    from benchmark.report.consoles import make_console
    from benchmark.report.files import write_files
    from benchmark.report.terminal import print_board
    from benchmark.runs.display import Display, LiveDisplay
    from benchmark.runs.finished import find_run, read_cells
    from benchmark.runs.sources import COHORTS, open_cohort

    console = make_console()
    live = console.is_terminal and not plain
    display = LiveDisplay(console) if live else Display(console)
    how = {
        "columns": options["columns"],
        "worst": options["missing"] == "worst",
        "others": options["others"] == "ignore",
    }
    if run is None:
        chosen = open_cohort(cohort or "phantom", data, options["spacing"], options["cache"])
        found = evaluate_on_cohort(name, labels, scores, chosen, display, **how)
    else:
        board = find_run(run, runs)

        def open_own():
            own = board.plan["cohort"]
            if data is None and (cohort or own["name"]) not in COHORTS:
                raise UserError(f"needs the scans of cohort {own['name']}: name them with --data")
            pixel = options["spacing"] or own.get("spacing")
            kind = cohort or (own["name"] if data is None else "phantom")
            return open_cohort(kind, data, pixel, options["cache"])

        found = evaluate_on_run(
            name, labels, scores, board, read_cells(board), open_own, display, **how
        )
    print_board(found.board, console, more=metrics, notes=True)
    if out is not None:
        for path in write_files(found.board, found.plan, found.cells, out):
            display.say(f"written: {path}")
    for id, reason in found.faults:
        display.say(f"not used: {id}: {reason}")
    return 1 if found.faults else 0


def _score_hidden(submission, public, hidden, out, metrics, plain) -> int:
    """Add a submission to the board of a hold-out, or print the board without one."""
    if hidden is None or public is None:
        raise UserError("a hold-out needs both parts: --data PUBLIC and --hidden HIDDEN")
    from benchmark.hidden.board import add_submission, make_hidden_board, read_entries, write_board
    from benchmark.hidden.hold_out import read_hidden, read_public
    from benchmark.report.consoles import make_console
    from benchmark.report.terminal import print_board
    from benchmark.runs.display import Display, LiveDisplay

    console = make_console()
    display = LiveDisplay(console) if console.is_terminal and not plain else Display(console)
    if submission is None:
        known = read_public(public)
        read_hidden(hidden, known)
        entries = read_entries(hidden)
        if not entries:
            raise UserError(f"{hidden}: nothing was scored yet; give --submission FOLDER")
        board = make_hidden_board(known, entries)
    else:
        board = add_submission(submission, public, hidden, display)
    print_board(board, console, more=metrics, notes=True)
    if out is not None:
        for path in write_board(board, out):
            display.say(f"written: {path}")
    return 0
