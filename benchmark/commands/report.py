"""``benchmark report``."""

from __future__ import annotations

from pathlib import Path

import click

from benchmark.commands.options import cache, runs_folder, spacing

FORMATS = {"html": "report.html", "latex": "report.tex", "png": "report.png"}
"""Each form with the name of its file in the run's folder."""


@click.command()
@click.argument("names", nargs=-1, metavar="RUN...")
@click.option(
    "--format",
    "form",
    type=click.Choice(list(FORMATS)),
    default="html",
    show_default=True,
    help="The whole page; or its main table for LaTeX, or as a picture for slides.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The file to write.  [default: report.html in the first run's folder]",
)
@runs_folder("--runs")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="The runs' scans, if they were given by --data: the page then shows pictures of them.",
)
@click.option("--no-scans", is_flag=True, help="No pictures of scans.")
@spacing
@cache
def report(names, form, out, runs, data, no_scans, spacing, cache) -> None:
    """Write finished runs as one HTML file that opens from disk, without a network.

    RUN is a run's folder, its name, or a suite (then its newest run); by default the newest run
    of all. Several runs stand on one page, one below the other.
    """
    from benchmark.errors import UserError
    from benchmark.runs.finished import find_run, read_cells
    from benchmark.whole import write_text

    found = [find_run(name, runs) for name in names or (None,)]
    path = out or found[0].folder / FORMATS[form]
    if form == "html":
        from benchmark.page.content import make_content
        from benchmark.page.render import render

        def cohort_of(run):
            return _cohort(run, data, no_scans, spacing, cache)

        write_text(path, render(make_content(found, cohort_of)))
    else:
        from benchmark.page.main_table import as_latex, write_picture
        from benchmark.report.leaderboard import make_board

        boards = [make_board(run.plan, read_cells(run)) for run in found]
        if form == "latex":
            write_text(path, "\n".join(as_latex(board) for board in boards))
        elif len(boards) > 1:
            raise UserError("--format png draws one table; name one run")
        else:
            write_picture(boards[0], path)
    size = path.stat().st_size
    click.echo(f"written: {path} ({size / 1e6:.1f} MB)" if size > 1e5 else f"written: {path}")


def _cohort(run, data: Path | None, no_scans: bool, spacing: float | None, cache: Path | None):
    """The scans of a run, or the reason why the page shows none."""
    from benchmark.errors import UserError
    from benchmark.runs.sources import COHORTS, DATA, open_cohort

    name = run.plan["cohort"]["name"]
    if no_scans:
        raise UserError("left out with --no-scans.")
    if data is None and name not in COHORTS:
        raise UserError(f"the scans of cohort {name} were not given (--data PATH).")
    if data is not None and name in COHORTS:
        data = None  # of another run on this page
    own = run.plan["cohort"].get("spacing")
    # the name of a cohort read from files need not be that of a format: then it is found out
    name = name if name in (*COHORTS, *DATA) else next(iter(COHORTS))
    return open_cohort(name, data, own if spacing is None else spacing, cache)
