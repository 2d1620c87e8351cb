"""Options that several commands share, so that they mean and say the same everywhere."""

from __future__ import annotations

from pathlib import Path

import click

from benchmark.training.settings import LARGEST_SEED, MOST_SEEDS

_PATH = click.Path(path_type=Path)


def runs_folder(name: str = "--out"):
    """The folder of all runs: ``--out``, or ``--runs`` where ``--out`` is for something else."""
    return click.option(
        name,
        type=_PATH,
        default=Path("results/runs"),
        show_default=True,
        metavar="FOLDER",
        help="Where runs are kept.",
    )


SEED = click.IntRange(0, LARGEST_SEED)
"""What every random generator takes."""

SEEDS = click.IntRange(1, MOST_SEEDS)
"""How many seeds."""

spacing = click.option(
    "--spacing", type=click.FloatRange(0.1, 5), metavar="MM", help="In-plane voxel of the phantom."
)
"""``--spacing``."""

cache = click.option("--cache", type=_PATH, metavar="FOLDER", help="Where made scans are kept.")
"""``--cache``."""


def centre(default: str):
    """``--centre``: what the training grid is centred on."""
    return click.option(
        "--centre",
        metavar="heart|scan|FILE",
        help="What the training grid is centred on; FILE: a CSV of id, x, y, z (docs/recipe.md).  "
        f"[default: {default}]",
    )


data = click.option(
    "--data",
    type=_PATH,
    metavar="PATH",
    help="Scans of your own: a folder, a CSV table or a cohort file (docs/data.md).",
)
"""``--data``."""
