"""``benchmark list``."""

from __future__ import annotations

from pathlib import Path

import click

from benchmark.commands.options import runs_folder
from benchmark.errors import UserError

KINDS = ("suites", "methods", "cohorts", "metrics", "runs")


@click.command("list")
@click.argument("what", required=False, metavar=f"[{'|'.join(KINDS)}]")
@click.option("--runs", is_flag=True, help="The same as the word: runs.")
@runs_folder()
def list_command(what: str | None, runs: bool, out: Path) -> None:
    """List suites, methods, cohorts, metrics or finished runs; without a word, all but runs.

    Of each run it says whether the present code would make the same, and what differs if not: a
    network's code, the harness, library versions, settings, cohort or split.
    """
    if runs:
        if what not in (None, "runs"):
            raise UserError(f"--runs lists runs, not {what}; leave one of them out")
        what = "runs"
    if what is not None and what not in KINDS:
        from benchmark.suites.schema import nearest

        raise UserError(f"cannot list {what!r}{nearest(what, KINDS)} (choose: {', '.join(KINDS)})")
    for kind in (what,) if what else KINDS[:-1]:
        rows = _rows(kind, out)
        if not what:
            click.echo(f"{kind}:")
        if not rows:
            click.echo(f"no {kind} in {out}" if kind == "runs" else f"no {kind}")
        width = max((len(name) for name, _ in rows), default=0)
        for name, text in rows:
            click.echo(f"{'' if what else '  '}{name:<{width}}  {text}".rstrip())


def _rows(kind: str, out: Path) -> list[tuple[str, str]]:
    if kind == "suites":
        from benchmark.suites import load_suite, suite_names

        suites = [load_suite(name) for name in suite_names()]
        return [(suite.name, f"{suite.title} ({', '.join(suite.scales)})") for suite in suites]
    if kind == "methods":
        from benchmark.methods import METHODS
        from benchmark.plugins import installed

        own = [(name, f"of an installed package: {m.target}") for name, m in installed().items()]
        return [(method.name, _described(method)) for method in METHODS.values()] + own
    if kind == "cohorts":
        from benchmark.cohorts.formats import FORMATS
        from benchmark.runs.sources import COHORTS

        own = [(f"{name} --data PATH", text) for name, text in FORMATS.items()]
        return [*COHORTS.items(), *own]
    if kind == "metrics":
        from benchmark.report.board import METRICS

        return list(METRICS.items())
    from benchmark.runs.currency import Present, currency
    from benchmark.runs.finished import finished_runs

    present, closed = Present(), []
    runs = finished_runs(out, closed)
    rows = [(str(run.folder), f"{run.summary}, {currency(run, present)}") for run in runs]
    return rows + [
        (str(path.parent), "another user's: no permission to read it") for path in closed
    ]


def _described(method) -> str:
    text = f"{method.title}, scores from {' and '.join(method.outputs)}"
    text += "; a reference, not ranked" * method.reference
    return f"{text}; {method.base} with {method.change}" if method.base else text
