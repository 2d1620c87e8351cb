"""A process for each cell, so that the death of one spares the rest.

On Linux without a GPU the child is a fork: it has the prepared arrays at once. Otherwise it is a
new interpreter that reads them from a file which this program wrote for itself in a folder that no
other user can write to, and the program's own code from another (`benchmark.frozen`): an edit while
a run is under way reaches neither.

The child tells its parent what happens in lines of JSON through a pipe. What it prints, and where
it stood at a crash (`faulthandler`), goes to a file that becomes part of the cell's log.
"""

from __future__ import annotations

import ctypes
import faulthandler
import json
import os
import pickle
import select
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from benchmark.commit import VARIABLE, git_commit
from benchmark.frozen import starter, write_copy
from benchmark.runs.interrupt import SIGNALS
from benchmark.runs.job import Job, Send, do
from benchmark.training import stop

OUTPUT_LIMIT = 200_000
"""Bytes of what a child printed that are kept, its last ones."""
READY_SECONDS = 30.0
"""Longest wait for a fork to try its threads; see `fork`."""
_PROGRESS_EVERY = 0.2
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Ending:
    """How a process ended.

    Attributes
    ----------
    code : int
        Exit status, or the negative number of the signal that killed it.
    peak : int
        Most memory that it had in use, bytes.
    """

    code: int
    peak: int


class Child:
    """A running process.

    Parameters
    ----------
    pid : int
    pipe : int
        File descriptor its messages are read from.
    output : file
        What it prints.
    """

    def __init__(self, pid: int, pipe: int, output: IO[bytes]) -> None:
        self.pid = pid
        self.closed = False
        self._pipe, self._output = pipe, output
        self._rest = b""
        self._ending: Ending | None = None

    def messages(self, seconds: float) -> list[list]:
        """What it sent, after waiting at most so long for the first; sets `closed` at the end."""
        if self.closed or not select.select([self._pipe], [], [], seconds)[0]:
            return []
        data = os.read(self._pipe, 1 << 16)
        self.closed = not data
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [json.loads(line) for line in lines]

    def signal(self, number: int) -> None:
        """Send a signal, if it still runs."""
        if self._ending is None:
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                pass

    def ended(self) -> Ending | None:
        """How it ended; None while it runs."""
        if self._ending is None:
            pid, status, usage = os.wait4(self.pid, os.WNOHANG)
            if pid:
                peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
                self._ending = Ending(os.waitstatus_to_exitcode(status), peak)
        return self._ending

    def wait(self, seconds: float = 10.0) -> Ending:
        """Wait for its end; a process that does not end by itself in that time is killed."""
        last = time.monotonic() + seconds
        while self.ended() is None:
            if time.monotonic() > last:
                self.signal(signal.SIGKILL)
            time.sleep(0.002)
        return self._ending

    def output(self) -> str:
        """The end of what it printed."""
        size = self._output.seek(0, os.SEEK_END)
        self._output.seek(max(0, size - OUTPUT_LIMIT))
        return self._output.read().decode("utf-8", "replace")

    def close(self) -> None:
        """Give pipe and file back; kill the process if it still runs."""
        if self.ended() is None:
            self.signal(signal.SIGKILL)
            self.wait()
        if self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1
        self._output.close()


def can_fork(device: str) -> bool:
    """Whether a child may be a fork: CUDA does not survive one, and macOS's libraries may not."""
    return sys.platform == "linux" and device == "cpu"


def fork(job: Job, prepared) -> Child | None:
    """Start the work in a fork of this process.

    Returns
    -------
    Child or None
        None if the fork cannot use threads. GNU's OpenMP waits forever in a fork of a process
        whose own OpenMP threads had begun; the fork tries them before anything else.
    """
    output = tempfile.TemporaryFile(prefix="benchmark-")
    read, write = os.pipe()
    parent = os.getpid()
    sys.stdout.flush()
    sys.stderr.flush()
    # a signal must not find the parent's handlers in the child, where they would unwind the run
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        with warnings.catch_warnings():
            # Python warns of threads; those here are the heartbeat and libraries' idle ones
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid == 0:
            os.close(read)
            _live(job, lambda: prepared, write, output.fileno(), parent)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    os.close(write)
    child = Child(pid, read, output)
    last = time.monotonic() + READY_SECONDS
    try:
        while time.monotonic() < last:
            if child.messages(0.5) or child.closed:
                return child
    except BaseException:
        child.close()
        raise
    child.close()
    return None


class Interpreters:
    """Starts children as new interpreters; the prepared split is written once for all of them.

    Parameters
    ----------
    prepared
        The split on the training grid.
    """

    def __init__(self, prepared) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="benchmark-")
        self._started = 0
        self._program = Path(self._folder.name) / "program.pickle"
        write_copy(self._program)
        self._prepared = Path(self._folder.name) / "prepared.pickle"
        with self._prepared.open("wb") as file:
            pickle.dump(prepared, file, protocol=5)

    def start(self, job: Job) -> Child:
        """Start the work in a new interpreter."""
        # one for each child: several may be starting
        self._started += 1
        path = Path(self._folder.name) / f"job-{self._started}.pickle"
        path.write_bytes(pickle.dumps(job, protocol=5))
        output = tempfile.TemporaryFile(prefix="benchmark-")
        read, write = os.pipe()
        then = f"from benchmark.runs.child import main; main({str(path)!r}, {write}, {os.getpid()})"
        code = starter(self._program, then)
        # pytest and editable installations find packages by sys.path alone
        places = os.pathsep.join([place or os.getcwd() for place in sys.path])
        try:
            process = subprocess.Popen(
                [sys.executable, "-c", code, str(self._prepared)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=(write,),
                env={**os.environ, "PYTHONPATH": places, VARIABLE: git_commit()},
            )
        finally:
            os.close(write)
        # its end is awaited by `Child`, which also asks for its memory
        process.returncode = 0
        child = Child(process.pid, read, output)
        return child

    def close(self) -> None:
        """Delete the file."""
        self._folder.cleanup()


def main(job_path: str, write: int, parent: int) -> None:
    """What a new interpreter runs; the prepared split's file is its one argument."""

    path = sys.argv[1]

    def prepared():
        with open(path, "rb") as file:
            return pickle.load(file)

    _live(pickle.loads(Path(job_path).read_bytes()), prepared, write, 1, parent)


def _live(job: Job, prepared: Callable, write: int, output: int, parent: int) -> None:
    """Do the work and end the process; nothing that the parent began is cleaned up here."""
    code = 1
    try:
        for number in (1, 2):
            os.dup2(output, number)
        # a network that reads the command line is not to find this program's
        sys.argv = [str(job.method.target).rpartition(":")[0]]
        # a file's name may hold bytes that are no text
        form = {"buffering": 1, "encoding": "utf-8", "errors": "backslashreplace"}
        sys.stdout = open(1, "w", closefd=False, **form)
        sys.stderr = open(2, "w", closefd=False, **form)
        faulthandler.enable(file=2)
        _die_with(parent)
        _heed_signals()
        _try_threads(job.threads)
        send = _sender(write)
        send(["ready"])
        do(job, prepared(), send, _heed_signals)
        code = 0
    except KeyboardInterrupt:
        pass
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)


def _sender(write: int) -> Send:
    """Send a message; of progress not more than a few a second."""
    last = 0.0

    def send(message: list) -> None:
        nonlocal last
        if message[0] == "progress":
            if time.monotonic() - last < _PROGRESS_EVERY:
                return
            last = time.monotonic()
        data = (json.dumps(message, default=_plain) + "\n").encode()
        try:
            while data:
                data = data[os.write(write, data) :]
        except BrokenPipeError:
            # the parent was killed: the signal of `_die_with` ends this process in order
            return

    return send


def _plain(value):
    """NumPy's and torch's numbers as Python's; a network's own notes as text."""
    if hasattr(value, "tolist"):
        return value.tolist()
    return str(value)


def _die_with(parent: int) -> None:
    """Let the system send SIGTERM when the parent is killed: the checkpoint is saved then."""
    if sys.platform != "linux":
        return
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    except (OSError, AttributeError):
        return
    if os.getppid() != parent:
        os._exit(1)


def _heed_signals() -> None:
    """SIGTERM, which the parent sends, ends the training in order.

    A terminal sends Ctrl-C to parent and child alike; the parent alone decides.
    """
    stop.install()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # schedulers send it to all processes of a job; the parent passes on what it means
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def _try_threads(threads: int) -> None:
    """Let torch's threads do a sum together, as they will in training."""
    import torch

    torch.set_num_threads(threads)
    torch.ones(1 << 18).sum()
