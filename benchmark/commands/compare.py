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
    "--html",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the comparison as a page too: one file that opens without a network.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("results/runs"),
    show_default=True,
    metavar="FOLDER",
    help="Where runs are kept.",
)
def compare(run_a: str, run_b: str, form: str, html: Path | None, out: Path) -> None:
    """Compare two finished runs: first what differs in configuration, then the figures.

    RUN_A and RUN_B are runs' folders, their names, or suites (then their newest runs), of two
    commits or two machines for instance.
    """
    from benchmark.report.compare import compare as compare_runs
    from benchmark.report.compare_text import as_json, as_markdown, print_comparison
    from benchmark.runs.finished import find_run

    found = compare_runs(find_run(run_a, out), find_run(run_b, out))
    if html is not None:
        from benchmark.page.compare_page import render_comparison
        from benchmark.whole import write_text

        write_text(html, render_comparison(found))
        click.echo(f"written: {html}", err=True)  # what is printed may be read by a program
    if form == "terminal":
        from benchmark.report.consoles import make_console

        print_comparison(found, make_console())
        return
    click.echo({"markdown": as_markdown, "json": as_json}[form](found), nl=False)
