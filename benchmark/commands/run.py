"""``benchmark run``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from benchmark.commands.options import SEED, SEEDS, cache, centre, data, runs_folder, spacing
from benchmark.errors import UserError
from benchmark.tunable import MOST_TRIALS


@click.command()
@click.option("--suite", required=True, help="Name (see: benchmark list suites) or a .yaml file.")
@click.option(
    "--scale", help="smoke, quick, night, full or paper.  [default: quick, with a GPU full]"
)
@click.option(
    "--methods",
    multiple=True,
    metavar="A,B",
    help="These alone, also path/to/net.py:Net and mmwfanet+fusion=sum.",
)
@click.option("--budget", metavar="AMOUNT", help="A method's: '140 s', '300 steps', '2e13 flops'.")
@click.option(
    "--tune",
    type=click.IntRange(1, MOST_TRIALS),
    metavar="N",
    help="A second row for each method: tuned by N trials inside its budget (docs/tuning.md).",
)
@click.option("--seeds", type=SEEDS, help="Number of repetitions.  [default: the suite's]")
@click.option("--seed", "first_seed", type=SEED, default=0, show_default=True, help="First seed.")
@click.option("--cohort", help="Name (see: benchmark list cohorts).  [default: the suite's]")
@data
@click.option(
    "--split",
    help="by-risk, by-patient, by-centre:NAME, given, or a saved split.json.  [default: by-risk]",
)
@click.option("--fold", metavar="I/K", help="The I-th of K parts is tested (cross-validation).")
@click.option("--split-seed", type=SEED, default=0, show_default=True)
@spacing
@runs_folder()
@click.option(
    "--init",
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="Go on from the networks of a finished run (fine-tuning).",
)
@click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True
)
@click.option(
    "--threads",
    type=click.IntRange(1),
    help="Of each training.  [default: 1]",
)
@click.option("--workers", type=click.IntRange(1), help="Processes for data.  [default: all cores]")
@click.option(
    "--set", "changes", multiple=True, metavar="KEY=VALUE", help="Any value of the scale."
)
@centre("heart")
@cache
@click.option(
    "--figures/--no-figures", default=True, help="Draw the figures that the run can give."
)
@click.option(
    "--deterministic",
    is_flag=True,
    help="Same bits each time, also on a GPU, where PyTorch can; slower.",
)
@click.option(
    "--checkpoint-every",
    type=click.FloatRange(0),
    default=300.0,
    show_default=True,
    metavar="SECONDS",
    help="Between two checkpoints of a training.",
)
@click.option(
    "--cell-timeout",
    type=click.FloatRange(0, min_open=True),
    metavar="SECONDS",
    help="A method that takes longer fails, and the next one begins.",
)
@click.option("--in-process", is_flag=True, help="No process for each method (for debugging).")
@click.option(
    "--launcher",
    type=click.Choice(["here", "local", "slurm"]),
    default="here",
    show_default=True,
    help="local: jobs side by side on this machine; slurm: jobs of a cluster (docs/cluster.md).",
)
@click.option(
    "--jobs",
    type=click.IntRange(1),
    help="Trainings side by side.  [default: as many as the cores allow; with a GPU 1]",
)
@click.option(
    "--slurm",
    metavar="KEY=VALUE,..|FILE",
    help="What each job asks for: partition=gpu,gpus=1,time=8:00:00, or a YAML file.",
)
@click.option("--no-wait", is_flag=True, help="Of --launcher slurm: submit and leave.")
@click.option("--dry-run", is_flag=True, help="Say what it would take; train and keep nothing.")
@click.option(
    "--rate",
    metavar="SPEED",
    help="Of --dry-run: the device's '50e12 flops/s'.  [default: measured here by a few steps]",
)
@click.option("--price", type=click.FloatRange(0), help="Of --dry-run: of a device for an hour.")
@click.option(
    "--devices",
    metavar="N,..",
    help="Of --dry-run: so many work at once, as 8,64.  [default: what this machine does]",
)
@click.option(
    "--times", type=click.IntRange(1), default=1, help="Of --dry-run: such runs, as 5 for 5 folds."
)
@click.option("--plain", is_flag=True, help="Plain lines instead of live bars.")
def run(
    methods, budget, changes, figures, plain, deterministic, dry_run, rate, price, devices, times,
    launcher, slurm, no_wait, centre, **options,
) -> int:  # fmt: skip
    """Train the methods of a suite and print their leaderboard.

    What is finished is not trained again, and a training that was stopped (Ctrl-C, SIGTERM, a
    crash) goes on from its checkpoint: type the same command. Exit status 1 says that a method
    failed; its reason is on the leaderboard.

    \b
    torchrun --nproc-per-node 2 -m benchmark run ...    each training over two devices
    """
    from benchmark.frozen import freeze

    freeze()  # an edit of this program, too, is of the next run
    pairs = []
    for text in changes:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise UserError(f"--set {text}: write KEY=VALUE, for instance learning_rate=0.001")
        pairs.append((key.strip(), value))
    if budget is not None:
        from benchmark.training.settings import Budget

        Budget.parse(budget)
        pairs.append(("budget", budget))
    places = None
    if centre is not None:
        from benchmark.heart.centring import chosen_centre

        name, places = chosen_centre(centre)
        pairs.append(("centre", name))
    if deterministic:
        pairs.append(("deterministic", "true"))
    from benchmark.report.consoles import make_console
    from benchmark.runs import together
    from benchmark.runs.display import Display, LiveDisplay
    from benchmark.runs.execute import execute
    from benchmark.runs.request import Request, split_names
    from benchmark.suites.load import load_suite

    suite = load_suite(options["suite"])
    known = [method.name for method in (*suite.methods, *suite.references)]
    names = tuple(name for item in methods for name in split_names(item, known))
    console = make_console()
    live = console.is_terminal and not plain
    display = LiveDisplay(console) if live else Display(console)
    request = Request(methods=names, changes=tuple(pairs), places=places, **options)
    folds = suite.orcascore_folds
    several = together.count() > 1
    if several:
        together.refuse(request, launcher != "here" or dry_run or bool(folds))
        if together.place():
            return together.follow(request)
    if dry_run:
        if folds:  # every fold is a run of its own, and they are all of one size
            request = replace(request, fold=f"1/{folds}")
        return _dry_run(request, display, rate, price, devices, times * (folds or 1))
    if launcher == "here" and (slurm or no_wait):
        raise UserError("--slurm and --no-wait are for --launcher slurm")
    if request.in_process and (request.jobs or 1) > 1:
        raise UserError("--in-process does one training after another: leave out --jobs")
    if folds:
        if launcher != "here":
            raise UserError(f"--launcher {launcher}: this suite joins its folds in one process")
        return _cross_validate(request, display, folds)
    if several:
        outcome = together.lead(request, display)
    elif launcher == "here":
        outcome = execute(request, display)
    else:
        from benchmark.cluster.launch import launch
        from benchmark.cluster.options import parse_slurm

        if launcher == "local" and (slurm or no_wait):
            raise UserError("--slurm and --no-wait are for --launcher slurm")
        outcome = launch(request, display, launcher, request.jobs, parse_slurm(slurm), not no_wait)
        if outcome is None:
            return 0

    from benchmark.report.files import write_files
    from benchmark.report.leaderboard import make_board
    from benchmark.report.terminal import print_board

    board = make_board(outcome.plan, outcome.cells)
    board = replace(board, notes=(*board.notes, *outcome.edited))
    written = write_files(board, outcome.plan, outcome.cells, outcome.folder)
    print_board(board, console)
    drawn = _draw(outcome, display) if figures else []
    display.say("")
    done = len(outcome.cells) - len(outcome.failed)
    display.say(f"{done} of {len(outcome.cells)} runs finished. Written:")
    for path in written:
        display.say(f"  {path}")
    if drawn:
        names = " ".join(path.name for path in drawn if path.suffix == ".png")
        display.say(f"  {drawn[0].parent}: {names} (also PDF, and their numbers as CSV)")
    for cell in outcome.failed:
        log = request.out / "cells" / cell.folder / "log.txt"
        display.say(f"failed: {cell.title}, seed {cell.seed}: {cell.reason} ({log})")
    for line in outcome.edited:
        display.say(f"note: {line}")
    return 1 if outcome.failed else 0


def _cross_validate(request, display, folds: int) -> int:
    """Run every fold, then join their label maps and score them as orCaScore does."""
    from benchmark.cohorts.patients import patients_of
    from benchmark.report.files import write_files
    from benchmark.report.leaderboard import make_board
    from benchmark.runs.folds import board_lines, join, run_folds, score_joined, write_joined

    outcomes = run_folds(request, display, folds)
    for outcome in outcomes:
        board = make_board(outcome.plan, outcome.cells)
        write_files(board, outcome.plan, outcome.cells, outcome.folder)
    joined = join(outcomes)
    if not joined:
        raise UserError("none of the methods gives labels, which the challenge scores")
    with display.counting("scans scored") as progress:
        cohort = outcomes[0].cohort
        whose = patients_of(cohort, joined[0].classes)
        scored = score_joined(joined, cohort.load, progress=progress, patients=whose)
    lines = board_lines(scored, len(joined[0].classes), folds)
    for line in lines:
        display.say(line)
    for path in write_joined(outcomes, scored, lines):
        display.say(f"written: {path}")
    failed = [cell for outcome in outcomes for cell in outcome.failed]
    for one in scored:
        for line in one.worst:
            display.say(f"fault: {one.name}: {line}")
    return 1 if failed else 0


def _dry_run(request, display, rate, price, devices, times) -> int:
    from benchmark.cores import jobs_beside
    from benchmark.runs.execute import settle
    from benchmark.runs.store import Store
    from benchmark.scale.beside import beside
    from benchmark.scale.dry_run import Wish, describe, estimate, parse_devices, parse_rate

    # where the speed is given, the device need not be here
    speed, counts = parse_rate(rate), parse_devices(devices) if devices else None
    known = request.device if speed is not None and request.device != "auto" else None
    settled = settle(request, display, known, planning=True)
    if counts is None:
        on_cpu = settled.device == "cpu"
        counts = (request.jobs or (jobs_beside(settled.threads) if on_cpu else 1),)
    wish = Wish(speed, price, counts, times)
    methods = tuple({cell.method.name: cell.method for cell in settled.plan.cells}.values())
    store = Store(request.out)
    found = estimate(settled, methods, wish, store, display)
    for line in (*describe(settled, found, wish), *beside(settled, found.costs, store)):
        display.say(line)
    return 0


def _draw(outcome, display) -> list[Path]:
    """The figures that this run can give; of 6 to 9, which go with every table, also why not."""
    from benchmark.figures.make import available, make_figures
    from benchmark.runs.finished import FinishedRun

    found = FinishedRun(outcome.folder, outcome.plan)
    reasons = available(found, outcome.cells, outcome.cohort)
    sweeps = ("fig4", "fig5")  # of suites of their own
    wanted = {name for name, reason in reasons.items() if not reason or name not in sweeps}

    def say(line: str) -> None:
        if line.partition(":")[0] in wanted:
            display.say(line)

    folder = outcome.folder / "figures"
    return make_figures(found, outcome.cells, folder, None, say, cohort=outcome.cohort)
