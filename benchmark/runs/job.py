"""The work of one cell, and what came of it in words: the same in a child process and without."""

from __future__ import annotations

import errno
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmark.cohorts.base import Cohort
from benchmark.errors import UserError
from benchmark.memory import peak_bytes as peak_of_process
from benchmark.methods import Method
from benchmark.program import own_changes
from benchmark.runs.interrupt import Stopped
from benchmark.runs.store import CHECKPOINT, read_weights, write_arrays
from benchmark.sources import is_own, modules_beyond
from benchmark.training.settings import Settings

DISK_ERRORS = (
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO,
    errno.ESTALE,
)  # fmt: skip
"""What ends the whole run and not one method alone."""

Send = Callable[[list], None]


class TimedOut(BaseException):
    """A cell took too long; no error of a network, which `do` would take it for."""


@dataclass(frozen=True)
class Job:
    """All that the work of a cell needs.

    Attributes
    ----------
    method : Method
    settings : Settings
    seed : int
    device : str
    threads : int
    draft : Path
        Folder that the result's arrays are written into.
    run_cell : callable
        `benchmark.training.cell.run_cell`, or a test's.
    weights : Path or None
        Checkpoint that is tested as it is.
    start : Path or None
        Checkpoint that training starts from.
    partial : Path or None
        Folder of the training's own checkpoint; None where it cannot go on within a cell.
    every_seconds : float
        Between two of these checkpoints.
    broken : str or None
        Why the method cannot even be loaded.
    cohort : Cohort or None
        For a system that trains itself.
    """

    method: Method
    settings: Settings
    seed: int
    device: str
    threads: int
    draft: Path
    run_cell: Callable
    weights: Path | None = None
    start: Path | None = None
    partial: Path | None = None
    every_seconds: float = 300.0
    broken: str | None = None
    cohort: Cohort | None = field(default=None, repr=False)


def do(job: Job, prepared, send: Send, imported: Callable[[], None] = lambda: None) -> None:
    """Train and test one cell, write its arrays into the draft, and send how it ended.

    Parameters
    ----------
    job : Job
    prepared
        The split on the training grid.
    imported : callable
        Called when a user's file has been imported, which may have changed signal handlers.
    send : callable
        Gets lists that JSON can hold: ``["progress", stage, spent, loss, left]`` and
        ``["said", line]`` any number of times, then one of ``["finished", {"ledger", "notes",
        "curve"}]``, ``["failed", {"reason", "traceback", "peak", "again"}]``, ``["disk", errno,
        text, file]`` and ``["stopped"]``.
        ``again`` says that the failure lay outside the network, so that its checkpoint is kept.
    """
    try:
        before = set(sys.modules)
        if not job.broken and is_own(job.method.target):
            job.method.load()
            imported()
        result = _run(job, prepared, send)
        write_arrays(job.draft, result)
        _verify(job, result)
        rest = {
            "ledger": dict(result.ledger),
            "notes": [*result.notes, *_beyond(job.method, before)],
            "curve": [list(point) for point in result.curve],
        }
        send(["finished", rest])
    except (Stopped, TimedOut):
        raise
    except KeyboardInterrupt:
        send(["stopped"])
    except BaseException as error:
        disk = _disk_error(error)
        if disk is not None:
            name = None if disk.filename is None else str(disk.filename)
            send(["disk", disk.errno, disk.strerror or str(disk), name])
            return
        memory = _memory_error(error)
        peak = peak_bytes(job.device)
        send([
            "failed",
            {
                "reason": reason_of(error) if memory is None else out_of_memory(memory, peak),
                "traceback": getattr(error, "traceback", None) or traceback.format_exc(),
                "peak": peak,
                "again": memory is not None,
            },
        ])  # fmt: skip


def _verify(job: Job, result) -> None:
    """Compare the trained network with another instance that has the weights from the file.

    Raises
    ------
    benchmark.training.loop.CellFailed
        If it answers otherwise: its figures would be those of a network that nobody has.
    """
    witness = getattr(result, "witness", None)
    if witness is None:
        return
    from benchmark.training.kept import NotTheNetwork
    from benchmark.training.loop import CellFailed

    try:
        witness.verify(read_weights(job.draft / CHECKPOINT))
    except NotTheNetwork as error:
        raise CellFailed(str(error), traceback.format_exc()) from error


def _run(job: Job, prepared, send: Send):
    if job.broken:
        raise UserError(job.broken)
    more = {}
    if job.weights is not None:
        more["weights"] = read_weights(job.weights)
    if job.start is not None:
        more["start"] = read_weights(job.start)
    if job.cohort is not None:
        more["cohort"] = job.cohort
    if job.partial is not None:
        from benchmark.training.checkpoint import Resume

        more["resume"] = Resume(
            job.partial, job.every_seconds, lambda line: send(["said", str(line)])
        )

    def progress(stage: str, spent: float, loss: float, left: float) -> None:
        send(["progress", str(stage), float(spent), float(loss), float(left)])

    # the method states all its options, those of the tier among them
    settings = job.settings.of(job.method.family)
    result = job.run_cell(
        job.method, prepared, settings, job.seed, job.device, job.threads, progress, **more
    )
    if job.method.external:
        # it starts programs of its own, from the files as they are then
        changed = own_changes(job.method.target.rpartition(":")[0])
        if changed:
            raise UserError(f"{', '.join(changed)} changed while the run was under way: run again")
    return result


def _beyond(method: Method, before: set[str]) -> list[str]:
    """A note where a network imported files that its cell's key does not hold."""
    if method.code is None:
        return []
    files = sorted({Path(path).name for path in modules_beyond(method.code, before).values()})
    if not files:
        return []
    return [
        f"imported {', '.join(files)} while it ran, whose changes a run does not notice: import "
        f"them at the top of {Path(method.code.path).name}"
    ]


def reason_of(error: BaseException) -> str:
    """A failure in one line for the board."""
    text = " ".join(str(error).split())
    if not isinstance(error, Exception):
        name = type(error).__name__
        return (
            f"it ended the program ({name}: {text})" if text else f"it ended the program ({name})"
        )
    if isinstance(error, UserError) or type(error).__name__ == "CellFailed":
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def out_of_memory(error: BaseException, peak: int) -> str:
    """Lack of memory in one line for the board."""
    words = " ".join(str(error).split())
    return f"out of memory, {memory_words(peak)}" + (f": {words[:200]}" if words else "")


def memory_words(peak: int) -> str:
    """``"at most 3.20 GB were in use"``."""
    return f"at most {peak / 1e9:.2f} GB were in use"


def peak_bytes(device: str = "cpu") -> int:
    """Most memory that was in use: the GPU's where there is one at work, else this process's."""
    torch = sys.modules.get("torch")
    if device == "cuda" and torch is not None and torch.cuda.is_initialized():
        return int(torch.cuda.max_memory_allocated())
    return peak_of_process()


def _causes(error: BaseException | None):
    """The error, what it was raised from, and so on."""
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _disk_error(error: BaseException) -> OSError | None:
    for cause in _causes(error):
        if isinstance(cause, OSError) and cause.errno in DISK_ERRORS:
            return cause
    return None


def _memory_error(error: BaseException) -> BaseException | None:
    """The lack of memory behind a failure: Python's, of a GPU, or of torch on the CPU."""
    for cause in _causes(error):
        name = type(cause).__name__
        if isinstance(cause, MemoryError) or name == "OutOfMemoryError":
            return cause
        if isinstance(cause, RuntimeError) and "not enough memory" in str(cause):
            return cause
        if isinstance(cause, RuntimeError) and "DefaultCPUAllocator" in str(cause):
            return cause
    return None
