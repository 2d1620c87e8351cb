"""``benchmark status`` and ``benchmark cancel``."""

from __future__ import annotations

import time
from pathlib import Path

import click

from benchmark.commands.options import runs_folder

EVERY_SECONDS = 2.0


@click.command()
@click.argument("run", required=False)
@click.option("--watch", is_flag=True, help="Stay, and renew the table until all is done.")
@runs_folder()
def status(run: str | None, watch: bool, out: Path) -> None:
    """How each cell of a run stands, and which job does it.

    RUN is a run's folder, its name, or a suite (then its newest run); by default the newest run.
    """
    from benchmark.cluster.status import states, table
    from benchmark.runs.finished import find_run

    found = find_run(run, out)
    if not watch:
        cells, answered = states(found.folder, found.plan)
        for line in table(cells):
            click.echo(line)
        if not answered:
            click.echo("the scheduler does not answer; states of jobs are not known")
        return
    from rich.live import Live
    from rich.text import Text

    from benchmark.report.consoles import make_console

    with Live(console=make_console(), refresh_per_second=2) as live:
        while True:
            cells, answered = states(found.folder, found.plan)
            silent = [] if answered else ["the scheduler does not answer"]
            live.update(Text("\n".join([*table(cells), *silent])))
            if not any(c.state in ("queued", "running", "suspended", "unknown") for c in cells):
                return
            time.sleep(EVERY_SECONDS)


@click.command()
@click.argument("run", required=False)
@runs_folder()
def cancel(run: str | None, out: Path) -> None:
    """Cancel the jobs of a run; what is finished is kept, and so are checkpoints.

    RUN is as for `benchmark status`. The run's own command goes on from there.
    """
    from benchmark.cluster.jobs import cancel_jobs, read_jobs
    from benchmark.runs.finished import find_run

    found = find_run(run, out)
    count = cancel_jobs(read_jobs(found.folder))
    click.echo(f"{found.folder}: {count} job{'' if count == 1 else 's'} cancelled")
