"""``benchmark figures``."""

from __future__ import annotations

from pathlib import Path

import click

from benchmark.commands.options import cache, data, runs_folder, spacing


@click.command()
@click.argument("run", required=False)
@click.option(
    "--which",
    multiple=True,
    metavar="A,B",
    help="fig4 to fig9.  [default: all that the run can give]",
)
@click.option(
    "--methods",
    multiple=True,
    metavar="A,B",
    help="Whose fig7.  [default: one, the base or the first]",
)
@click.option(
    "--target",
    type=click.Choice(["whole", "LAD", "LCX", "RCA"]),
    default="whole",
    show_default=True,
    help="Of the Bland-Altman plots of fig7.",
)
@click.option(
    "--interval",
    type=click.Choice(["bootstrap", "normal"]),
    default="bootstrap",
    show_default=True,
    help="Of bias and limits in fig7.",
)
@click.option(
    "--segmentation",
    type=click.Choice(["F1", "sensitivity", "PPV"]),
    default="F1",
    show_default=True,
    help="Performance of segmentation in fig9.",
)
@click.option(
    "--scores",
    type=click.Choice(["ICC", "PCC"]),
    default="ICC",
    show_default=True,
    help="Performance of scores in fig9.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="For the figures.  [default: RUN/figures]",
)
@runs_folder("--runs")
@data
@spacing
@cache
def figures(run, which, methods, out, runs, data, spacing, cache, **choices) -> None:
    """Draw the paper's figures from a finished run, without training.

    RUN is a run's folder, its name, or a suite (then its newest run); by default the newest run
    of all. Each figure is written as PDF and PNG, with its numbers as CSV and its caption as text.
    """
    from benchmark.figures.make import check_names, make_figures
    from benchmark.runs.finished import find_run, read_cells
    from benchmark.runs.request import split_names

    names = check_names(name for text in which for name in split_names(text)) or None
    found = find_run(run, runs)
    known = [method["name"] for method in found.plan["methods"]]
    cells = read_cells(found)

    def cohort():
        from benchmark.errors import UserError
        from benchmark.runs.sources import COHORTS, open_cohort

        name = found.plan["cohort"]["name"]
        if data is None and name not in COHORTS:
            raise UserError(f"needs the scans of cohort {name}: name their folder with --data")
        own = found.plan["cohort"].get("spacing")
        return open_cohort(name, data, own if spacing is None else spacing, cache)

    written = make_figures(
        found,
        cells,
        out or found.folder / "figures",
        names,
        click.echo,
        cohort=cohort,
        methods=[name for text in methods for name in split_names(text, known)] or None,
        **choices,
    )
    for path in written:
        click.echo(f"written: {path}")
