"""``benchmark ranks``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("runs", nargs=-1, metavar="RUN...")
@click.option(
    "--format",
    "form",
    type=click.Choice(["terminal", "markdown", "json"]),
    default="terminal",
    show_default=True,
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("results/runs"),
    show_default=True,
    metavar="FOLDER",
    help="Where runs are kept.",
)
def ranks(runs: tuple[str, ...], form: str, out: Path) -> None:
    """Rank methods by each task and by both, with the spread of the ranks.

    RUN is a run's folder, its name, or a suite (then its newest run); by default the newest run
    of all. Several runs are joined if they share cohort, split, budget, recipe and device.
    """
    from benchmark.report.joined import join
    from benchmark.report.ranks import as_json, as_markdown, make_ranks, print_ranks
    from benchmark.runs.finished import find_run

    found = make_ranks(join([find_run(run, out) for run in runs or (None,)]))
    if form == "terminal":
        from benchmark.report.consoles import make_console

        print_ranks(found, make_console())
        return
    click.echo({"markdown": as_markdown, "json": as_json}[form](found), nl=False)
