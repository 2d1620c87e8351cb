"""``benchmark compare``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("run_a")
@click.argument("run_b")
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
def compare(run_a: str, run_b: str, form: str, out: Path) -> None:
    """Compare two finished runs: first what differs in configuration, then the figures.

    RUN_A and RUN_B are runs' folders, their names, or suites (then their newest runs), of two
    commits or two machines for instance.
    """
    from benchmark.report.compare import compare as compare_runs
    from benchmark.report.compare_text import as_json, as_markdown, print_comparison
    from benchmark.runs.finished import find_run

    found = compare_runs(find_run(run_a, out), find_run(run_b, out))
    if form == "terminal":
        from benchmark.report.consoles import make_console

        print_comparison(found, make_console())
        return
    click.echo({"markdown": as_markdown, "json": as_json}[form](found), nl=False)
