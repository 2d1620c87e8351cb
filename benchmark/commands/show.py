"""``benchmark show``."""

from __future__ import annotations

from pathlib import Path

import click

from benchmark.commands.options import runs_folder


@click.command()
@click.argument("run", required=False)
@click.option(
    "--format",
    "form",
    type=click.Choice(["terminal", "markdown", "csv", "json"]),
    default="terminal",
    show_default=True,
)
@click.option("--metrics", is_flag=True, help="Also volume, mass, sensitivity and PPV by artery.")
@click.option("--notes", is_flag=True, help="Also each method's deviations from its paper.")
@runs_folder()
def show(run: str | None, form: str, metrics: bool, notes: bool, out: Path) -> None:
    """Print a finished leaderboard again, made anew from the kept predictions.

    RUN is a run's folder, its name, or a suite (then its newest run); by default the newest run
    of all.
    """
    from benchmark.report.files import as_csv, as_json, as_markdown
    from benchmark.report.leaderboard import make_board
    from benchmark.runs.finished import find_run, read_cells

    found = find_run(run, out)
    board = make_board(found.plan, read_cells(found))
    if form == "terminal":
        from benchmark.report.consoles import make_console
        from benchmark.report.terminal import print_board

        print_board(board, make_console(), more=metrics, notes=notes)
        return
    text = {"markdown": as_markdown, "csv": as_csv, "json": as_json}[form](board)
    click.echo(text, nl=False)
