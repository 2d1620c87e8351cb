"""``benchmark clean``."""

from __future__ import annotations

from pathlib import Path

import click

from benchmark.commands.options import runs_folder

TITLES = {
    "stale": "stale runs of a method: the present code makes others",
    "checkpoint": "checkpoints of unfinished trainings: the same command would go on from them",
    "leftover": "leftovers of killed processes",
}


@click.command()
@runs_folder()
@click.option("--yes", is_flag=True, help="Remove without asking.")
def clean(out: Path, yes: bool) -> int:
    """Remove what no present command would use: stale runs, checkpoints, leftovers.

    Lists everything with its size and asks first. A board whose runs are removed can be read, but
    not be made anew. What a process is at work on is spared. Exit status 1: nothing was removed.
    """
    from benchmark.runs.clean import find_rubbish, remove
    from benchmark.runs.store import Store

    store = Store(out)
    found, busy = find_rubbish(store)
    if busy:
        click.echo(f"at work, spared: {', '.join(busy)}")
    if not found:
        click.echo(f"nothing to remove in {out}")
        return 0
    for kind, title in TITLES.items():
        items = [item for item in found if item.kind == kind]
        if items:
            click.echo(f"{title} ({_size(sum(item.size for item in items))})")
        for item in items:
            click.echo(f"  {item.path.name}  {_size(item.size)}  {item.why}")
    total = _size(sum(item.size for item in found))
    if not yes:
        try:
            agreed = click.confirm(f"Remove these {len(found)} folders ({total})?")
        except click.Abort:
            agreed = False
            click.echo("")
        if not agreed:
            click.echo("nothing removed")
            return 1
    gone = remove(found, store, click.echo)
    click.echo(f"{len(gone)} of {len(found)} folders removed")
    return 0 if gone else 1


def _size(number: int) -> str:
    return f"{number / 1e6:.1f} MB" if number < 1e9 else f"{number / 1e9:.2f} GB"
