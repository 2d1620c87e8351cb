"""``benchmark claims``."""

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
    "--claims",
    "file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Claims of your own, in YAML.  [default: those of the paper]",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("results/runs"),
    show_default=True,
    metavar="FOLDER",
    help="Where runs are kept.",
)
def claims(runs: tuple[str, ...], form: str, file: Path | None, out: Path) -> None:
    """Judge the paper's claims by finished runs: supported, contradicted or undecided.

    RUN is a run's folder, its name, or a suite (then its newest run); by default the newest run
    of all. Several runs are joined if they share cohort, split, budget, recipe and device.
    """
    from benchmark.report.claims import load_claims, paper_claims
    from benchmark.report.claims_text import as_json, as_markdown, claims_page, print_claims
    from benchmark.report.joined import join
    from benchmark.report.judging import judge
    from benchmark.runs.finished import find_run

    stated = load_claims(file) if file else paper_claims()
    joined = join([find_run(run, out) for run in runs or (None,)])
    page = claims_page(judge(stated.claims, joined), stated.left_out, joined)
    if form == "terminal":
        from benchmark.report.consoles import make_console

        print_claims(page, make_console())
        return
    click.echo({"markdown": as_markdown, "json": as_json}[form](page), nl=False)
