"""``benchmark predict``."""

from __future__ import annotations

from pathlib import Path

import click

from benchmark.commands.options import SEED, cache, centre, runs_folder, spacing


@click.command()
@click.option(
    "--run", "run", required=True, help="A run's folder or name, or a suite (then its newest run)."
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="A scan's file, a folder of scans, a CSV table or a cohort file; labels are not needed.",
)
@click.option(
    "--cohort",
    default="phantom",
    show_default=True,
    help="Name of a cohort; with --data a format, if it cannot be told.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FOLDER",
    help="For labels, pictures and the table.",
)
@click.option(
    "--method",
    help="Whose network, also path/to/net.py:Net.  [default: mmwfanet, or the run's first]",
)
@click.option("--seed", type=SEED, help="Of the network.  [default: the lowest]")
@click.option(
    "--format",
    "form",
    type=click.Choice(["nifti", "metaimage", "mhd"]),
    default="nifti",
    show_default=True,
    help="Of the labels: .nii.gz, .mha, or .mhd with .zraw.",
)
@centre("as it was trained")
@click.option("--test", is_flag=True, help="The run's test scans alone.")
@click.option("--pictures/--no-pictures", default=True, help="A PNG for every scan.")
@click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True
)
@click.option("--threads", type=click.IntRange(1), help="Of the network.  [default: all cores]")
@runs_folder("--runs")
@spacing
@cache
@click.option("--plain", is_flag=True, help="Plain lines instead of live bars.")
def predict(run, data, cohort, out, method, seed, device, runs, plain, centre, **options) -> int:
    """Label and score scans with a trained network of a run.

    Writes labels on each scan's own grid, a picture of each, and scores.csv: Agatston, volume and
    mass of LAD, LCX, RCA and the whole heart, and the risk category, from the labels and from the
    score head. Scans predicted before are kept. Exit status 1 if a scan could not be predicted, or
    if a test scan of the run gets other scores than the run kept.
    """
    from benchmark.prediction.scans import open_scans
    from benchmark.runs.finished import find_run

    found = find_run(run, runs)
    pixel = options["spacing"]
    if pixel is None and data is None:
        pixel = found.plan["cohort"].get("spacing")
    scans = open_scans(data, cohort, pixel, options["cache"])
    every = scans.ids
    if options["test"]:
        scans = scans.only(found.plan["split"]["test"])

    from benchmark.prediction.folder import predict_folder
    from benchmark.prediction.predictor import load_predictor
    from benchmark.report.consoles import make_console
    from benchmark.runs.display import Display, LiveDisplay, counted
    from benchmark.runs.request import chosen_device

    device = chosen_device(device)
    if options["threads"]:
        import torch

        torch.set_num_threads(options["threads"])
    predictor = load_predictor(found, method, seed, device=device, centre=centre)
    if predictor.places is not None:
        predictor.places.require(every, scans.ids)
    console = make_console()
    live = console.is_terminal and not plain
    display = LiveDisplay(console) if live else Display(console)
    display.say(
        f"{counted(len(scans.ids), 'scan')} of {scans.name}, by {predictor.title}, seed "
        f"{predictor.seed}, of {found.folder}"
    )
    for note in predictor.notes:
        display.say(f"note: {note}")
    outcome = predict_folder(predictor, scans, out, display, options["form"], options["pictures"])
    total = outcome.done + outcome.kept
    if outcome.table is not None:
        display.say(f"{counted(total, 'scan')} predicted. Written: {outcome.table}")
    other = sum(not same for same in outcome.judged)
    # one in twenty may be a tie that rounding turned; a network that lost something is off in most
    wrong = 20 * other > len(outcome.judged) and predictor.judged.alike
    if other:
        display.say(
            f"{'fault' if wrong else 'note'}: {other} of {len(outcome.judged)} test scans of the "
            "run got other scores than those behind its board"
            + (": the kept weights are not the network that was judged" if wrong else "")
        )
    if not outcome.faults:
        return int(wrong)
    display.say(f"{counted(len(outcome.faults), 'scan')} could not be predicted:")
    for id, reason in outcome.faults:
        display.say(f"  {id}: {reason}")
    return 1
