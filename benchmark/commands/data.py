"""``benchmark data``."""

from __future__ import annotations

import functools
from pathlib import Path

import click

from benchmark.errors import UserError


def _cohort_options(command):
    """Options that say which cohort is meant, the same for the three commands."""

    @click.option("--cohort", default="phantom", show_default=True, help="Name.")
    @click.option(
        "--data",
        type=click.Path(path_type=Path),
        metavar="FOLDER",
        help="Scans of your own: images/ and labels/ with equal file names.",
    )
    @click.option(
        "--spacing",
        type=click.FloatRange(0.1, 5),
        metavar="MM",
        help="In-plane voxel of the phantom.",
    )
    @click.option(
        "--cache",
        type=click.Path(path_type=Path),
        metavar="FOLDER",
        help="Where made scans are kept.",
    )
    @click.option("--train", type=click.IntRange(1), help="Only so many training scans.")
    @click.option("--test", type=click.IntRange(1), help="Only so many test scans.")
    @click.option("--workers", type=click.IntRange(1), help="Processes.  [default: all cores]")
    @functools.wraps(command)
    def wrapped(**options):
        return command(**options)

    return wrapped


@click.group()
def data() -> None:
    """Make, check or describe the scans: the phantom, or --data FOLDER."""


@data.command()
@_cohort_options
def make(cohort, data, spacing, cache, train, test, workers) -> None:
    """Make the phantom's scans now, or convert a folder's into the cache."""
    from benchmark.runs.datasets import make_data

    chosen, display = _open(cohort, data, spacing, cache)
    make_data(chosen, display, train, test, workers)


@data.command()
@_cohort_options
def check(cohort, data, spacing, cache, train, test, workers) -> None:
    """Check every scan before hours are spent on it. Exit status 2 if one is refused."""
    from benchmark.runs.datasets import check_data

    chosen, display = _open(cohort, data, spacing, cache)
    refused = check_data(chosen, display, train, test, workers)
    if refused:
        raise UserError(f"{refused} scans are refused; the table says why")


@data.command()
@_cohort_options
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="For the figures.  [default: results/data/COHORT]",
)
def describe(cohort, data, spacing, cache, train, test, workers, out) -> None:
    """Print the split by risk category, and for the phantom its figures beside the literature's."""
    from benchmark.runs.datasets import describe_data

    chosen, display = _open(cohort, data, spacing, cache)
    folder = out or Path("results/data") / chosen.name
    for path in describe_data(chosen, display, train, test, workers, folder):
        click.echo(f"written: {path}")


def _open(cohort, data, spacing, cache):
    from benchmark.report.consoles import make_console
    from benchmark.runs.display import Display, LiveDisplay
    from benchmark.runs.sources import open_cohort

    console = make_console()
    display = LiveDisplay(console) if console.is_terminal else Display(console)
    return open_cohort(cohort, data, spacing, cache), display
