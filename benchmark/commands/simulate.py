"""``benchmark simulate``."""

from __future__ import annotations

from pathlib import Path

import click

from benchmark.commands.options import SEED, SEEDS

WHAT = ("aa", "loss", "icc")


@click.command()
@click.argument("what", type=click.Choice(WHAT))
@click.option("--run", metavar="RUN", help="Draw patients from this run.  [default: a model]")
@click.option("--method", metavar="NAME", help="Of that run.  [default: the first with a mask]")
@click.option("--patients", type=click.IntRange(3), default=257, show_default=True)
@click.option("--seeds", type=SEEDS, default=3, show_default=True)
@click.option(
    "--methods",
    type=click.IntRange(2),
    default=9,
    show_default=True,
    help="Rows of the board: the noise of training is pooled over them.",
)
@click.option(
    "--family",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Comparisons that p is adjusted for.",
)
@click.option("--loss", type=click.FloatRange(0, 1), default=0.03, show_default=True, help="In F1.")
@click.option(
    "--seed-sd",
    type=click.FloatRange(0, 1),
    help="Standard deviation of F1 between seeds.  [default: the run's, or 0.006]",
)
@click.option("--repeat", type=click.IntRange(1), default=100, show_default=True)
@click.option("--first", type=SEED, default=0, help="Seed of the simulation itself.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("results/runs"),
    show_default=True,
    metavar="FOLDER",
    help="Where runs are kept.",
)
def simulate(
    what, run, method, patients, seeds, methods, family, loss, seed_sd, repeat, first, out
) -> None:
    """Check the verdicts on boards whose truth is known.

    \b
    aa    one method under two names, other seeds: how often is the verdict "undecided"?
    loss  a loss of F1 planted in the second method: how often is it found?
    icc   how long 12 ICCs with intervals take (10,000 resamples)
    """
    from benchmark import population, simulation

    if what == "icc":
        seconds = simulation.time_icc(patients)
        click.echo(
            f"12 ICCs with intervals, {patients} patients, 10,000 resamples: {seconds:.2f} s"
        )
        return
    if run is None:
        model_sd = population.SEED_SD if seed_sd is None else seed_sd
        source = population.model_population(seed_sd=model_sd)
    else:
        from benchmark.runs.finished import find_run, read_cells

        found = find_run(run, out)
        source = population.run_population(found.plan, read_cells(found), method, seed_sd)
    board = simulation.Board(patients, seeds, methods, family)
    outcome = simulation.simulate(source, board, loss if what == "loss" else 0.0, repeat, first)
    for line in simulation.lines(source, board, outcome):
        click.echo(line)
