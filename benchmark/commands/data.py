"""``benchmark data``."""

from __future__ import annotations

import functools
from pathlib import Path

import click

from benchmark.commands.options import SEED
from benchmark.errors import UserError


def cohort_options(command):
    """Options that say which cohort is meant, the same for all commands."""

    @click.option(
        "--cohort",
        default="phantom",
        show_default=True,
        help="Name; with --data a format, if it cannot be told: "
        "folder, csv, orcascore, coca, dicom or nnunet.",
    )
    @click.option(
        "--data",
        type=click.Path(path_type=Path),
        metavar="PATH",
        help="Scans of your own: a folder, a CSV table or a cohort file (see docs/data.md).",
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


def split_options(command):
    """Options that say how the cohort is split."""

    @click.option(
        "--split",
        metavar="HOW",
        help="by-risk, by-patient, by-centre:NAME, folds:K, given, or a saved split.json.  "
        "[default: by-risk]",
    )
    @click.option("--fold", metavar="I/K", help="One fold of a cross-validation, as 2/5.")
    @click.option("--split-seed", type=SEED, default=0, show_default=True, help="Of the split.")
    @functools.wraps(command)
    def wrapped(split, fold, split_seed, **options):
        from benchmark.cohorts.split_choice import parse_choice

        return command(choice=parse_choice(split, fold, split_seed), **options)

    return wrapped


@click.group()
def data() -> None:
    """Make, check, describe or export the scans: the phantom, or --data PATH."""


@data.command()
@cohort_options
def make(cohort, data, spacing, cache, train, test, workers) -> None:
    """Make the phantom's scans now, or convert those of --data into the cache."""
    from benchmark.runs.datasets import make_data

    chosen, display = open_chosen(cohort, data, spacing, cache)
    make_data(chosen, display, train, test, workers)


@data.command()
@click.argument("path", type=click.Path(path_type=Path), required=False)
@cohort_options
@split_options
@click.option(
    "--csv", "table", type=click.Path(path_type=Path), metavar="FILE", help="Write the table too."
)
@click.option(
    "--pictures",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Draw each scan in three planes, with the box round the heart that was found.",
)
@click.option(
    "--hearts",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Where hearts are known to be (CSV: id, x, y, z): say how many are found within 15 mm.",
)
def check(
    path, cohort, data, spacing, cache, train, test, workers, table, choice, pictures, hearts
) -> int:
    """Check every scan before hours are spent on it; PATH is short for --data PATH.

    Prints a row for each scan: ready, with a warning, or refused, and why. Exit status 1 if one
    is refused.
    """
    from benchmark.runs.datasets import check_data

    if path is not None and data is not None:
        raise UserError(f"{path} and --data {data}: give one of them")
    known = None
    if hearts is not None:
        from benchmark.heart.places import read_places

        known = read_places(hearts)
    chosen, display = open_chosen(cohort, data or path, spacing, cache, tell=False)
    refused = check_data(chosen, display, train, test, workers, table, choice, pictures, known)
    return 1 if refused else 0


@data.command()
@cohort_options
@split_options
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="For the split and the figures.  [default: results/data/COHORT]",
)
def describe(cohort, data, spacing, cache, train, test, workers, out, choice) -> None:
    """Print and save the split; for the phantom also its figures beside the literature's."""
    from benchmark.runs.datasets import describe_data

    chosen, display = open_chosen(cohort, data, spacing, cache)
    folder = out or Path("results/data") / chosen.name
    for path in describe_data(chosen, display, train, test, workers, folder, choice):
        click.echo(f"written: {path}")


@data.command()
@cohort_options
@split_options
@click.option(
    "--format",
    "form",
    type=click.Choice(["nifti", "orcascore", "coca", "nnunet"]),
    required=True,
    help="What to write; nifti is a folder with images/ and labels/.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FOLDER",
    help="A new or empty folder.",
)
def export(cohort, data, spacing, cache, train, test, workers, form, out, choice) -> None:
    """Write the scans with labels in a format that other programs read.

    For nnunet the test part of --split or --fold goes to imagesTs.
    """
    from benchmark.runs.datasets import export_data

    chosen, display = open_chosen(cohort, data, spacing, cache)
    export_data(chosen, display, form, out, train, test, workers, choice)


def open_chosen(cohort, data, spacing, cache, tell=True):
    from benchmark.report.consoles import make_console
    from benchmark.runs.display import Display, LiveDisplay
    from benchmark.runs.sources import open_cohort

    console = make_console()
    display = LiveDisplay(console) if console.is_terminal else Display(console)
    return open_cohort(cohort, data, spacing, cache, tell), display
