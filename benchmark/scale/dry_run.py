"""``run --dry-run``: what a run would take, method by method; nothing is written."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from benchmark.cores import usable_cores
from benchmark.errors import UserError
from benchmark.methods import Method
from benchmark.runs.display import Display, counted, duration
from benchmark.runs.execute import Settled
from benchmark.runs.finished import finished_runs
from benchmark.runs.planning import tuning_lines
from benchmark.runs.store import Store
from benchmark.scale.estimate import Cost, cost_of, makespan, prepared_bytes, untrained_cost
from benchmark.training.settings import SCAN, Budget

SAMPLE = 24
"""Training scans that are looked at for the size of the training grid, if no run tells it."""


@dataclass(frozen=True)
class Wish:
    """What a dry run is asked.

    Attributes
    ----------
    rate : float or None
        Operations a second of the device; None measures them here.
    price : float or None
        Of one device for an hour.
    devices : tuple of int
        At work at once; each number is answered.
    times : int
        So many such runs, as the folds of a cross-validation.
    """

    rate: float | None = None
    price: float | None = None
    devices: tuple[int, ...] = (1,)
    times: int = 1


@dataclass(frozen=True)
class Estimate:
    """What a run would take.

    Attributes
    ----------
    grid : (Z, Y, X)
    grid_source : str
        Where its size is known from.
    costs : dict
        `Cost` of one run by method; None where nobody can tell, and why in `unknown`.
    unknown : dict of str
    seeds : int
    prepared : float
        Bytes of main memory of the prepared scans, for each process.
    """

    grid: tuple[int, int, int]
    grid_source: str
    costs: dict[str, Cost]
    unknown: dict[str, str]
    seeds: int
    prepared: float


def parse_devices(text: str) -> tuple[int, ...]:
    """Read ``"8"`` or ``"8,64"``."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and int(part) for part in parts):
        raise UserError(f"--devices {text}: write one number or several, as 8,64")
    return tuple(dict.fromkeys(map(int, parts)))


def parse_rate(text: str | None) -> float | None:
    """Read ``"50e12 flops/s"`` or ``"50e12"``; "measure" and nothing are None."""
    if text is None or text.strip() == "measure":
        return None
    found = re.fullmatch(r"\s*([0-9.]+(?:[eE][+-]?[0-9]+)?)\s*(?:flops?(?:/s)?)?\s*", text)
    try:
        value = float(found[1]) if found else 0.0
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise UserError(f"--rate {text}: write operations a second, as '50e12 flops/s', or measure")
    return value


def estimate(settled: Settled, methods: tuple[Method, ...], wish: Wish, store: Store, display):
    """Probe every method of a plan.

    Parameters
    ----------
    settled : Settled
    methods : tuple of Method
        As the plan has them, once each.
    wish : Wish
    store : Store
        Runs that may know the grid.
    display : Display

    Returns
    -------
    Estimate
    """
    import torch

    from benchmark.scale.probe import probe_apart
    from benchmark.training.loop import CellFailed

    settings, split = settled.scale.settings, settled.split
    grid, source = find_grid(settled, store, display)
    train, test = len(split.train), len(split.test)
    budget = Budget.parse(settings.budget)
    device = torch.device(settled.device if torch.cuda.is_available() else "cpu")
    prepared = prepared_bytes(grid, train, test)
    on_gpu = settled.device == "cuda"
    costs, unknown = {}, {}
    with display.counting("probing") as progress:
        for done, method in enumerate(methods, start=1):
            if not method.trained:
                costs[method.name] = untrained_cost(test)
            elif method.tuning is not None and method.tuning.of in costs:
                costs[method.name] = costs[method.tuning.of]  # the same budget
            elif method.external:
                unknown[method.name] = "trains itself; its cost cannot be probed"
            else:
                try:
                    found = probe_apart(
                        method, settings, grid, device, settled.threads, wish.rate is None
                    )
                    own = budget if method.retrain else None
                    costs[method.name] = cost_of(
                        found, own, train, test, wish.rate, on_gpu, prepared
                    )
                except CellFailed as error:
                    unknown[method.name] = str(error)
            progress(done, len(methods))
    return Estimate(grid, source, costs, unknown, len(settled.plan.values["seeds"]), prepared)


def find_grid(settled: Settled, store: Store, display: Display) -> tuple[tuple, str]:
    """The training grid: as set, as a kept run of the same scans has it, or from some scans."""
    settings = settled.scale.settings
    if settings.grid is not None:
        return tuple(settings.grid), "as set"
    values = settled.plan.values
    for run in finished_runs(store.root):
        own = run.plan
        same = (
            own["cohort"]["fingerprint"] == values["cohort"]["fingerprint"]
            and own["split"]["hash"] == values["split"]["hash"]
            and list(own["settings"]["cell_mm"]) == list(settings.cell_mm)
            and own["settings"].get("grid") is None
            and own["settings"].get("centre", SCAN) == settings.centre
        )
        for cell in own["cells"] if same else ():
            kept = store.read(cell["folder"]) if store.finished(cell["folder"]) else None
            if kept is not None and kept.ledger.get("grid"):
                return tuple(kept.ledger["grid"]), f"as in {run.folder.name}"
    from benchmark.training.centred import Middles, grid_of, lesion_field

    ids = settled.split.train[:SAMPLE]
    of = "all" if len(ids) == len(settled.split.train) else f"the first {len(ids)}"
    if settings.centre != SCAN:
        middles = Middles(settings.centre, settled.places)
        with display.counting("measuring the training grid") as progress:
            fields = middles.fields(settled.cohort, ids, progress, usable_cores())
        grid = grid_of(fields, settings)
        return grid.shape, f"from {of} training scans"
    fields = []
    with display.counting("measuring the training grid") as progress:
        for done, id in enumerate(ids, start=1):
            fields.append(lesion_field(settled.cohort.load_labels(id)))
            progress(done, len(ids))
    grid = grid_of(fields, settings)
    return grid.shape, f"from {of} training scans"


HEADINGS = (
    "method", "runs", "steps", "TFLOP", "to predict", "parameters", "memory", "training",
    "whole run", "kept",
)  # fmt: skip


def describe(settled: Settled, found: Estimate, wish: Wish) -> list[str]:
    """The lines that are printed."""
    values = settled.plan.values
    runs = found.seeds * wish.times
    titles = {method["name"]: method["title"] for method in values["methods"]}
    rows, all_seconds, storage, drafts, memory = [], [], 0.0, [0.0], [0.0]
    flops, prediction_flops, partly = 0.0, 0.0, wish.rate is not None
    for name, title in titles.items():
        cost = found.costs.get(name)
        if cost is None:
            rows.append((title, str(runs), *["?"] * 8))
            continue
        all_seconds += [cost.whole_seconds] * runs
        storage += runs * cost.storage
        flops += runs * cost.flops
        prediction_flops += runs * cost.prediction_flops
        partly = partly or bool(cost.parameters and not cost.measured)
        drafts.append(cost.draft)
        if math.isfinite(cost.memory):
            memory.append(cost.memory)
        rows.append(
            (
                title,
                str(runs),
                f"{cost.steps:,.0f}",
                _tera(cost.flops),
                _tera(cost.prediction_flops),
                f"{cost.parameters:,}",
                _bytes(cost.memory) + ("" if cost.measured or not cost.parameters else " fitted"),
                seconds_text(cost.seconds),
                seconds_text(cost.whole_seconds),
                _bytes(cost.storage),
            )
        )
    device = f"{values['device']}, {counted(values['threads'], 'thread')}"
    speed = "measured here" if wish.rate is None else f"{wish.rate:.3g} operations a second"
    total = sum(all_seconds)
    walls = [f"{duration(makespan(all_seconds, count))} on {count}" for count in wish.devices]
    checkpoints = [f"{_bytes(max(drafts) * count)} on {count}" for count in wish.devices]
    lines = [
        f"{values['title']} (suite {values['suite']}, scale {values['scale']}): dry run, "
        "nothing is trained or kept",
        f"  cohort   {values['cohort']['name']}: {len(values['split']['train'])} training and "
        f"{len(values['split']['test'])} test scans",
        f"  budget   {values['budget']} for each method, {device}; speed: {speed}",
        *(f"  tuning   {line}" for line in (tuning_lines(values) if "tuning" in values else ())),
        f"  grid     {' x '.join(map(str, found.grid))} cells, {found.grid_source}",
        "",
        *aligned([HEADINGS, *rows]),
        "",
        f"  runs     {len(titles)} methods x {found.seeds} seeds x {wish.times}: "
        f"{len(titles) * runs}",
        f"  work     {flops / 1e15:,.4g} PFLOP of training, {prediction_flops / 1e15:,.4g} to "
        "predict",
        f"  time     {duration(total)} of one device; {', '.join(walls)}",
        f"  memory   {_bytes(max(memory))} a run at most; prepared scans {_bytes(found.prepared)} "
        "of main memory for each process",
        f"  storage  {_bytes(storage)} for good, and checkpoints while it runs: "
        f"{', '.join(checkpoints)}",
    ]
    if wish.price is not None:
        lines.append(f"  cost     {total / 3600 * wish.price:,.2f} at {wish.price:g} an hour")
    lines += [f"  unknown  {titles[name]}: {reason}" for name, reason in found.unknown.items()]
    started = "starting and augmenting, " if partly else ""
    lines.append(f"  without  reading scans, {started}queues, and what fails")
    return lines


def aligned(table: Sequence[Sequence[str]]) -> list[str]:
    """Rows of one length as lines, their columns below each other."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        "  ".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    ]


def seconds_text(number: float) -> str:
    """As `duration`, with a decimal below ten seconds."""
    return f"{number:.1f} s" if number < 10 else duration(number)


def _tera(flops: float) -> str:
    value = flops / 1e12
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _bytes(number: float) -> str:
    if not math.isfinite(number):
        return "–"
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number / 1e3:.3g} kB"
