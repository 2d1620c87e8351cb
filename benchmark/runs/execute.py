"""Carry out a suite: cohort, split, plan, one cell after another, leaderboard."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

from benchmark.cohorts.base import Cohort
from benchmark.cohorts.patients import patients_in
from benchmark.cohorts.split import Split
from benchmark.cohorts.split_choice import parse_choice
from benchmark.commit import git_commit
from benchmark.cores import jobs_beside
from benchmark.errors import UserError
from benchmark.heart.places import Places
from benchmark.methods import find
from benchmark.program import own_changes
from benchmark.runs.display import Display, duration
from benchmark.runs.finished import find_run
from benchmark.runs.interrupt import Interrupts, Stopped
from benchmark.runs.lock import Locks
from benchmark.runs.plan import CellPlan, Plan
from benchmark.runs.planning import describe_plan, make_plan
from benchmark.runs.request import (
    Request,
    chosen_device,
    chosen_methods,
    chosen_precision,
    chosen_scale,
    rows_there,
)
from benchmark.runs.schedule import Schedule, sweep
from benchmark.runs.sources import COHORTS, open_cohort, tier_split
from benchmark.runs.start import refuse_seen, start_settings
from benchmark.runs.store import LOCKS, KeptCell, Store, named, refused_cell
from benchmark.runs.work import Worker
from benchmark.sources import one_reading
from benchmark.suites.load import load_suite
from benchmark.suites.schema import Scale, Suite
from benchmark.training.settings import check_seed
from benchmark.whole import require_temporary, write_text

PARTS = {
    "source": "the network's code",
    "packages": "the versions of its packages",
    "harness": "this program's code",
    "versions": "the versions of libraries",
    "options": "the network's options",
    "settings": "the settings",
    "cohort": "the scans",
    "split": "the split",
    "device": "the device",
    "threads": "the number of threads",
    "weights": "the network whose weights are tested",
    "start": "the network that training starts from",
    "tuning": "what is tuned",
}
"""Parts of a cell's key in words."""

GOES_ON = "what was finished is kept: the same command goes on"


@dataclass(frozen=True)
class Outcome:
    """What came of it.

    Attributes
    ----------
    plan : dict
        Contents of plan.json.
    cells : tuple of KeptCell
    folder : Path
        The run's folder.
    failed : tuple of KeptCell
    cohort : Cohort
    edited : tuple of str
        A line for each file of a network that is no longer what was run.
    """

    plan: dict
    cells: tuple[KeptCell, ...]
    folder: Path
    failed: tuple[KeptCell, ...]
    cohort: Cohort
    edited: tuple[str, ...] = ()


@dataclass(frozen=True)
class Settled:
    """What a request comes to, before anything is written.

    Attributes
    ----------
    suite, scale, cohort, split, plan
    device : str
    threads : int
    places : Places or None
        Of a file on which the training grid is centred.
    """

    suite: Suite
    scale: Scale
    cohort: Cohort
    split: Split
    plan: Plan
    device: str
    threads: int
    places: Places | None = None

    @property
    def place(self) -> str:
        """The run's folder below that of all runs."""
        return f"{self.suite.name}/{self.plan.run_name}"


def execute(
    request: Request, display: Display, trainer=None, only: tuple[CellPlan, ...] | None = None
) -> Outcome:
    """Do what was asked for.

    Parameters
    ----------
    request : Request
    display : Display
    trainer : object, optional
        Offers ``prepare`` and ``run_cell``; by default those of `benchmark.training`.
    only : tuple of CellPlan, optional
        The cells that this process does, of a run that another one has planned and written down.
        One that would not be the same here, as after an edit, fails and says what has changed.

    Raises
    ------
    UserError
        On bad input, before anything is written.
    OSError
        If the disk is full or the results folder cannot be written any more.
    Stopped
        At Ctrl-C or SIGTERM; what was finished is kept, and so is where the training stood.
    """
    interrupts = Interrupts()
    with interrupts.installed():
        return _execute(request, display, trainer, interrupts, only)


def settle(
    request: Request, display: Display, device: str | None = None, planning: bool = False
) -> Settled:
    """Work out what a request means; nothing is written but the cache of scans.

    Parameters
    ----------
    request : Request
    display : Display
    device : str, optional
        "cpu" or "cuda": what the runs will have, where it is another machine that does them.
    planning : bool
        Only numbers of scans are wanted: the phantom is taken at its shipped spacing, since any
        other would first have to be made.

    Raises
    ------
    UserError
        On bad input.
    """
    with one_reading():
        return _settle(request, display, device, planning)


def _settle(request: Request, display: Display, device: str | None, planning: bool) -> Settled:
    suite = load_suite(request.suite)
    # Everything a person may have mistyped comes before torch, which takes seconds to import.
    methods = chosen_methods(suite, request.methods)
    if request.scale is not None:
        chosen_scale(suite, request.scale, request)
    if request.data is None and (request.cohort or suite.cohort) not in COHORTS:
        open_cohort(request.cohort or suite.cohort)
    if request.data is not None and not request.data.exists():
        raise UserError(f"no such folder or file: {request.data} (docs/data.md has the formats)")
    choice = parse_choice(request.split, request.fold, request.split_seed)
    if request.seeds is not None and request.seeds < 1:
        raise UserError(f"--seeds must be at least 1, not {request.seeds}")
    check_seed(request.first_seed)
    last = request.first_seed + (request.seeds or suite.seeds) - 1
    check_seed(last, f"--seed {request.first_seed}: the last of its seeds")
    here = device is None
    device = device or chosen_device(request.device)
    tier = request.scale or ("full" if device == "cuda" else "quick")
    scale = chosen_scale(suite, tier, request)
    for name in (*(scale.settings.options or {}), *(scale.settings.widths or {})):
        find(name)
    precision = chosen_precision(scale.settings.precision, device, here)
    scale = replace(scale, settings=replace(scale.settings, precision=precision))
    spacing = request.spacing if request.spacing is not None else scale.spacing
    spacing = None if planning else spacing
    cohort = open_cohort(request.cohort or suite.cohort, request.data, spacing, request.cache)
    asked = {key for key, _ in request.changes}
    if hasattr(cohort, "check"):
        # scans of one's own are read and judged in parallel, once
        with display.counting(f"reading {cohort.name}") as progress:
            cohort.check(progress, request.workers)
    methods = rows_there(methods, request.methods, scale, cohort)
    split = tier_split(cohort, scale.train, scale.test, asked, choice)
    init = None if request.init is None else find_run(str(request.init), request.out)
    if init is not None:
        refuse_seen(init, cohort.fingerprint(), split, cohort.records())
        scale = replace(scale, settings=start_settings(init, scale.settings))
    # one thread a cell: threads that wait for each other spend what the budget counts
    threads = request.threads or 1
    seeds = range(request.first_seed, request.first_seed + (request.seeds or suite.seeds))
    plan = make_plan(
        suite, scale, methods, seeds, cohort, split, device, threads, init, request.tune
    )
    values = plan.values | {"asked": request.asked()}
    if request.places is not None:
        ids = (*split.train, *split.test)
        known = (record.id for record in cohort.records())
        request.places.require({*known, *getattr(cohort, "unlabelled", ())}, ids)
        values["places"] = {id: list(request.places.by_id[id]) for id in ids}
    plan = replace(plan, values=values)
    return Settled(suite, scale, cohort, split, plan, device, threads, request.places)


def _execute(
    request: Request,
    display: Display,
    trainer,
    interrupts: Interrupts,
    only: tuple[CellPlan, ...] | None,
) -> Outcome:
    settled = settle(request, display)
    scale, cohort, plan = settled.scale, settled.cohort, settled.plan
    device, threads = settled.device, settled.threads
    store = Store(request.out)
    if only is not None:
        refuse_changed(only, plan, store, display)
        wanted = {cell.folder for cell in only}
        plan = replace(plan, cells=tuple(cell for cell in plan.cells if cell.folder in wanted))
    require_bases(plan, store)
    store.check_writable()
    Locks(store.cells / LOCKS).require()
    require_temporary()
    _ = getattr(cohort, "folder", None)  # where there is none for scans, it says so here
    folder = store.root / settled.place
    waiting = [cell for cell in plan.cells if not _is_there(store, cell)]
    trainer = trainer or _trainer()
    jobs = 1
    if getattr(trainer, "own", False) and not request.in_process:
        jobs = request.jobs or (jobs_beside(threads) if device == "cpu" else 1)
    for line in describe_plan(plan, waiting, store, folder, min(jobs, max(1, len(waiting)))):
        display.say(line)
    if only is None:
        write_text(folder / "plan.json", json.dumps(plan.values, indent=1) + "\n")
    refused: dict[str, str] = {}
    if waiting:
        git_commit()  # now: scans may take hours, and another be checked out meanwhile
        try:
            sweep(store, display)
            prepared = _prepare(trainer, settled, display, request.workers)
            worker = Worker(
                trainer, prepared, cohort, scale.settings, device, threads, store, display,
                interrupts, request.in_process, request.cell_timeout, request.checkpoint_every,
            )  # fmt: skip
            try:
                schedule = Schedule(plan, waiting, worker, store, display, jobs)
                schedule.run()
                refused = schedule.refused
            finally:
                worker.close()
        except OSError as error:
            error.add_note(GOES_ON)
            raise
        except Stopped as stopped:
            stopped.unfinished = _unfinished(plan, store)
            raise
    else:
        for place, cell in enumerate(plan.cells, start=1):
            display.say(f"[{place}/{len(plan.cells)}] {cell.label}: kept from before")
    patients = patients_in(plan.values)
    cells = tuple(
        refused_cell(cell, refused[cell.folder])
        if cell.folder in refused
        else named(store.read(cell.folder), cell.method, patients)
        for cell in plan.cells
    )
    failed = tuple(cell for cell in cells if cell.state == "failed")
    return Outcome(plan.values, cells, folder, failed, cohort, edited(plan))


def _is_there(store: Store, cell: CellPlan) -> bool:
    """Whether a cell is finished, its predictions' content compared with the manifest."""
    return store.standing(cell.folder, read=True).state == "finished"


def _unfinished(plan: Plan, store: Store) -> str:
    """What a stopped run has left, in a few words."""
    done = sum(store.finished(cell.folder) for cell in plan.cells)
    partial = [cell.label for cell in plan.cells if store.partial(cell.folder).is_dir()]
    words = f"{done} of {len(plan.cells)} runs are finished and kept"
    if partial:
        words += f", and the checkpoint of {', '.join(partial)}"
    return words


def require_bases(plan, store: Store) -> None:
    """Raise UserError if an ablation tests weights that this run will not have."""
    coming = {cell.folder for cell in plan.cells}
    for cell in plan.cells:
        if cell.weights and cell.weights not in coming and not store.finished(cell.weights):
            raise UserError(
                f"{cell.method.name} tests the weights of {cell.method.family}, which is not among "
                f"the methods and not kept from before: add {cell.method.family} to --methods"
            )


def edited(plan: Plan, since: str = "the run began") -> tuple[str, ...]:
    """A line for each network whose files are no longer what was run."""
    titles: dict[tuple[str, ...], dict[str, None]] = {}
    for cell in plan.cells:
        if cell.method.code is not None:
            changed = cell.method.code.changed()
        else:
            changed = own_changes(cell.method.target.partition(":")[0])
        if changed:
            titles.setdefault(changed, {})[cell.method.title] = None
    return tuple(
        f"{', '.join(files)} changed since {since}: the figures of {', '.join(names)} are of the "
        "code as it was then; the same command runs it as it is now"
        for files, names in titles.items()
    )


def refuse_changed(asked: tuple[CellPlan, ...], plan: Plan, store: Store, display: Display) -> None:
    """Keep as failed the cells of a job that would not be what was planned, with the reason."""
    here = {cell.folder for cell in plan.cells}
    for cell in asked:
        if cell.folder in here or store.finished(cell.folder):
            continue
        now = next(
            (c for c in plan.cells if (c.method.name, c.seed) == (cell.method.name, cell.seed)),
            None,
        )
        parts = ["what the run is made of"]
        if now is not None:
            parts = [
                words for part, words in PARTS.items() if cell.key.get(part) != now.key.get(part)
            ] or [now.broken or parts[0]]
        reason = f"{', '.join(parts)} changed since the jobs were submitted: run it again"
        display.say(f"{cell.label}: FAILED: {reason}")
        store.write_failed(cell, reason, f"{cell.label}\n{reason}\n", {})


def _trainer() -> SimpleNamespace:
    from benchmark.training.cell import run_cell
    from benchmark.training.prepare import prepare

    return SimpleNamespace(prepare=prepare, run_cell=run_cell, own=True)


def _prepare(trainer, settled: Settled, display: Display, workers: int | None):
    cohort, split = settled.cohort, settled.split
    places = () if settled.places is None else (settled.places,)
    begin = time.monotonic()
    with display.counting(f"cohort {cohort.name}") as progress:
        cohort.prepare((*split.train, *split.test), progress, workers)
    with display.counting("training grid and candidates") as progress:
        prepared = trainer.prepare(
            cohort, split, settled.scale.settings, progress, workers, *places
        )
    display.say(f"data ready in {duration(time.monotonic() - begin)}")
    for line in getattr(prepared, "notes", ()):
        display.say(f"note: {line}")
    return prepared
