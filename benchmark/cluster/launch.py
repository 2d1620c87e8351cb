"""Submit the cells of a run as jobs, and wait for them; no server, the results folder is all."""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import replace
from pathlib import Path

from benchmark.cluster.jobs import (
    FOLDER,
    JobEntry,
    add_jobs,
    cancel_jobs,
    read_jobs,
    started,
    states_of,
)
from benchmark.cluster.options import SlurmOptions
from benchmark.cluster.status import CellState, states, summary
from benchmark.cluster.task import CellJob
from benchmark.cohorts.patients import patients_in
from benchmark.cores import jobs_beside
from benchmark.errors import UserError
from benchmark.runs.display import Display
from benchmark.runs.execute import Outcome, Settled, edited, require_bases, settle
from benchmark.runs.lock import Locks
from benchmark.runs.plan import CellPlan
from benchmark.runs.request import Request
from benchmark.runs.store import LOCKS, Store, named
from benchmark.whole import write_text

POLL_SECONDS = 2.0
MANY_TIMEOUTS = 10_000
"""A training may be as long as it likes: each time limit queues it again."""


def launch(
    request: Request,
    display: Display,
    launcher: str,
    jobs: int | None,
    slurm: SlurmOptions,
    wait: bool = True,
) -> Outcome | None:
    """Do a run by jobs.

    Parameters
    ----------
    request : Request
    display : Display
    launcher : "slurm" or "local"
    jobs : int or None
        At work at once; None sets no cap for Slurm, and one job for each core locally.
    slurm : SlurmOptions
    wait : bool
        Whether to stay until all are done. A local launcher always does.

    Returns
    -------
    Outcome or None
        None if it did not wait.

    Raises
    ------
    UserError
        On bad input, or if the scheduler takes no job.
    """
    device = None
    if launcher == "slurm":
        # the machine that submits may have neither a GPU nor the cores
        device = "cuda" if slurm.gpus else "cpu"
        if request.device not in ("auto", device):
            raise UserError(f"--device {request.device} with --slurm gpus={slurm.gpus}: which?")
        threads = request.threads or slurm.cpus
    else:
        threads = request.threads or 1
        jobs = jobs or jobs_beside(threads)
    # within a job one cell after the other: the launcher has them done side by side
    request = replace(request, threads=threads, jobs=1, out=request.out.resolve())
    settled = settle(request, display, device)
    request = replace(request, scale=settled.scale.name, device=settled.device)
    store = Store(request.out)
    require_bases(settled.plan, store)
    store.check_writable()
    Locks(store.cells / LOCKS).require()
    run = store.root / settled.place
    write_text(run / "plan.json", _plan_text(settled))
    split = settled.split
    with display.counting(f"cohort {settled.cohort.name}") as progress:
        # once and here, not in every job
        settled.cohort.prepare((*split.train, *split.test), progress, request.workers)
    groups = _groups(settled, store, run)
    total = len(settled.plan.cells)
    display.say(
        f"{sum(map(len, groups))} of {total} runs in {len(groups)} jobs ({launcher}): {run}"
    )
    codes = {
        cell.method.target.rpartition(":")[0]: cell.method.code
        for cell in settled.plan.cells
        if cell.method.code is not None
    }
    tasks = [CellJob(request, tuple(group), codes) for group in groups]
    if launcher == "slurm":
        _submit_slurm(tasks, run, slurm, jobs, settled)
        if not wait:
            display.say(f"submitted; look with: benchmark status {run}")
            return None
        _wait(run, settled, display)
    else:
        _run_local(tasks, run, jobs, settled, display)
    cells = tuple(store.read(cell.folder) for cell in settled.plan.cells)
    missing = [c.label for c, kept in zip(settled.plan.cells, cells, strict=True) if kept is None]
    if missing:
        raise UserError(
            f"{len(missing)} of {total} runs left nothing ({missing[0]}); logs are in "
            f"{run / FOLDER}, and the same command does them again"
        )
    patients = patients_in(settled.plan.values)
    kept = tuple(
        named(cell, own.method, patients)
        for cell, own in zip(cells, settled.plan.cells, strict=True)
    )
    failed = tuple(cell for cell in kept if cell.state == "failed")
    lines = edited(settled.plan, "the jobs were submitted")
    return Outcome(settled.plan.values, kept, run, failed, settled.cohort, lines)


def _plan_text(settled: Settled) -> str:
    return json.dumps(settled.plan.values, indent=1) + "\n"


def _groups(settled: Settled, store: Store, run: Path) -> list[list[CellPlan]]:
    """Cells that are to be done, those that test another's weights behind it in one job."""
    entries = read_jobs(run)
    told = states_of(entries)
    if told is None:
        raise UserError("the scheduler does not answer (squeue); try again in a minute")
    busy = {folder for e in entries if told[e.job] != "gone" for folder in e.cells}
    groups: dict[str, list[CellPlan]] = {}
    for cell in settled.plan.cells:
        if cell.folder in busy or store.standing(cell.folder, read=True).state == "finished":
            continue
        own = groups.setdefault(cell.weights or cell.folder, [])
        if cell.folder not in {other.folder for other in own}:
            own.append(cell)
    for own in groups.values():
        own.sort(key=lambda cell: cell.weights is not None)
    return list(groups.values())


def _submit_slurm(
    tasks: list[CellJob], run: Path, slurm: SlurmOptions, cap: int | None, settled: Settled
) -> None:
    if not tasks:
        return
    import submitit

    folder = run / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    try:
        executor = submitit.SlurmExecutor(folder=folder, max_num_timeout=MANY_TIMEOUTS)
        executor.update_parameters(
            job_name=f"benchmark-{settled.suite.name}",
            array_parallelism=cap or len(tasks),
            additional_parameters={"requeue": True, **slurm.passed_on},
            **slurm.values,
        )
        made = _array(executor, tasks)
    except (RuntimeError, OSError, subprocess.SubprocessError) as error:
        text = " ".join(str(error).split())
        raise UserError(f"Slurm took no job: {text[-300:]}") from None
    add_jobs(run, [JobEntry(j.job_id, "slurm", t.cells) for j, t in zip(made, tasks, strict=True)])


def _array(executor, tasks: list[CellJob]):
    """One array of all tasks."""
    with executor.batch():
        return [executor.submit(task) for task in tasks]


def _run_local(
    tasks: list[CellJob], run: Path, cap: int, settled: Settled, display: Display
) -> None:
    """Keep so many processes at work until nothing is left; a stop ends them in order."""
    import submitit

    folder = run / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    executor = submitit.LocalExecutor(folder=folder)
    # a job ends by itself; submitit's own limit would signal it
    executor.update_parameters(timeout_min=60 * 24 * 3650)
    waiting, alive, last = list(tasks), [], ""
    try:
        while waiting or alive:
            alive = [job for job in alive if not job.done()]
            while waiting and len(alive) < cap:
                task = waiting.pop(0)
                job = executor.submit(task)
                alive.append(job)
                pid = int(job.job_id)
                add_jobs(run, [JobEntry(job.job_id, "local", task.cells, started(pid))])
            last = _tell(states(run, settled.plan.values)[0], display, last)
            time.sleep(POLL_SECONDS if alive else 0)
    except KeyboardInterrupt:
        cancel_jobs(read_jobs(run))
        raise


def _wait(run: Path, settled: Settled, display: Display) -> None:
    """Stay until no cell is queued or running. Ctrl-C leaves the jobs where they are."""
    last, silent = "", False
    try:
        while True:
            found, answered = states(run, settled.plan.values)
            if not answered and not silent:
                display.say("the scheduler does not answer; the jobs go on, and so does the wait")
            silent = not answered
            last = _tell(found, display, last)
            if answered and not any(c.state in ("queued", "running", "suspended") for c in found):
                return
            time.sleep(POLL_SECONDS)
    except KeyboardInterrupt:
        display.say(
            "the jobs stay in the queue; the same command waits again, and "
            f"`benchmark cancel {run}` ends them"
        )
        raise


def _tell(cells: tuple[CellState, ...], display: Display, last: str) -> str:
    """Say how things stand where that has changed."""
    text = summary(cells)
    if text != last:
        display.say(text)
    return text
