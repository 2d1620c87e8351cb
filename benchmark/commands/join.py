"""``benchmark join``."""

from __future__ import annotations

from pathlib import Path

import click

from benchmark.commands.options import runs_folder


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="RUN RUN...")
@click.option(
    "--name", metavar="NAME", help="Of the board's folder.  [default: made from the runs]"
)
@click.option(
    "--keep-first",
    is_flag=True,
    help="Where two runs hold one method with other results, take that of the run named first.",
)
@runs_folder()
def join(names: tuple[str, ...], name: str | None, keep_first: bool, out: Path) -> None:
    """Put the methods of several finished runs on one board.

    RUN is a run's folder, its name, or a suite (then its newest run). The runs must be of one
    suite, tier, recipe, budget, seeds, cohort and split; devices, threads, code and libraries may
    differ, and the board says where they do. It is kept as a run of its own, which show, report,
    claims, compare and ranks read like any other.

    \b
    benchmark join mine /media/stick/table1/night-phantom-1a2b3c4d     two machines share a night
    benchmark join table1 run-of-my-network --name table1-and-mine     a row for a board
    """
    from benchmark.report.consoles import make_console
    from benchmark.report.files import write_files
    from benchmark.report.leaderboard import make_board
    from benchmark.report.terminal import print_board
    from benchmark.runs.finished import find_run, read_cells
    from benchmark.runs.joining import join_runs

    run = join_runs([find_run(one, out) for one in names], out, name, keep_first)
    cells = read_cells(run)
    board = make_board(run.plan, cells)
    written = write_files(board, run.plan, cells, run.folder)
    print_board(board, make_console())
    click.echo("\nWritten:")
    for path in written:
        click.echo(f"  {path}")
