"""A run of several processes that train each network together: ``torchrun -m benchmark run``.

The first process does what a run does; of every training it tells the others, which take part in
it and write nothing. They load the scans from the cache that the first one has filled.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import time
from contextlib import suppress
from datetime import timedelta

from benchmark.errors import UserError
from benchmark.methods import Method
from benchmark.runs.plan import harness_hash
from benchmark.runs.request import Request, chosen_device, chosen_methods, chosen_scale
from benchmark.sources import is_own
from benchmark.suites.load import load_suite

PATIENCE = timedelta(days=7)
"""For a message of another process: a cohort may take a day to read. The end of a process ends the
others by way of torchrun."""
LAST_WORDS = timedelta(seconds=20)
"""Between a failure on one device and the same failure on the others."""


def count() -> int:
    """Processes that torchrun started, 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "TORCHELASTIC_RUN_ID" in os.environ else 1


def place() -> int:
    """This process's number among them, from 0."""
    return int(os.environ["RANK"]) if count() > 1 else 0


def refuse(request: Request, elsewhere: bool = False) -> None:
    """Raise UserError if what was asked for cannot be trained together.

    All processes find the same fault; only the first one says it. The others end a while later,
    for with the first to end torchrun ends all.

    Parameters
    ----------
    request : Request
    elsewhere : bool
        The command does not train in these processes at all.
    """
    try:
        _refuse(request, elsewhere)
    except UserError:
        if place() == 0:
            raise
        time.sleep(5)
        raise SystemExit(2) from None


def _refuse(request: Request, elsewhere: bool) -> None:
    if elsewhere:
        raise UserError(
            "torchrun starts one run over several devices: not with --launcher, --dry-run or a "
            "suite that joins its folds"
        )
    suite = load_suite(request.suite)
    methods: tuple[Method, ...] = chosen_methods(suite, request.methods)
    outside = [method.name for method in methods if method.external]
    if outside:
        raise UserError(
            f"{', '.join(outside)} trains itself, on one device: leave it out with --methods, or "
            "run without torchrun"
        )
    files = dict.fromkeys(m.target.rpartition(":")[0] for m in methods if is_own(m.target))
    if len(files) > 1:
        raise UserError(
            f"torchrun trains all networks in the same processes, where what {' and '.join(files)} "
            "do when they are imported would reach each other: name one file of your own at a time"
        )
    if request.tune is not None:
        raise UserError("--tune does not go with torchrun: each trial is trained on one device")
    if request.cell_timeout is not None:
        raise UserError("--cell-timeout does not go with torchrun: give the job a time limit")
    device = chosen_device(request.device)
    tier = request.scale or ("full" if device == "cuda" else "quick")
    size = chosen_scale(suite, tier, request).settings.batch_size
    if size % count():
        better = count() * max(1, round(size / count()))
        raise UserError(
            f"a batch of {size} scans cannot be shared evenly by {count()} devices: "
            f"--set batch_size={better} (every method's, so that the board stays fair)"
        )


class Team:
    """The processes of a run.

    Parameters
    ----------
    device : str
        "cpu" or "cuda".
    """

    def __init__(self, device: str) -> None:
        import torch
        import torch.distributed as dist

        if device == "cuda":
            local = int(os.environ["LOCAL_RANK"])
            if local >= torch.cuda.device_count():
                raise UserError(
                    f"torchrun started more processes than this machine has GPUs, "
                    f"{torch.cuda.device_count()}: lower --nproc-per-node"
                )
            torch.cuda.set_device(local)
        store, self.rank, self.count = next(dist.rendezvous("env://", timeout=PATIENCE))
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if device == "cuda" else "gloo",
            store=store, rank=self.rank, world_size=self.count, timeout=PATIENCE,
        )  # fmt: skip
        self._store = dist.PrefixStore("benchmark", store)
        self._messages = self._trainings = 0

    def tell(self, message: tuple) -> None:
        """From the first process to the others."""
        self._store.set(f"message {self._messages}", pickle.dumps(message))
        self._messages += 1

    def hear(self) -> tuple:
        """The first process's next message."""
        key = f"message {self._messages}"
        self._store.wait([key], PATIENCE)
        self._messages += 1
        return pickle.loads(self._store.get(key))

    def train(self, *arguments, **more):
        """Take part in a training.

        What fails for a fault of the network fails on every device. If it failed here alone (lack
        of memory, a broken device), the others wait for this one: all end then, and the training's
        checkpoint remains.
        """
        from benchmark.training.cell import run_cell

        self._trainings += 1
        keys = [f"failed {self._trainings} {rank}" for rank in range(self.count)]
        try:
            return run_cell(*arguments, **more)
        except Exception as error:
            self._store.set(keys[self.rank], b"1")
            try:
                self._store.wait(keys, LAST_WORDS)
            except Exception:
                # gone before another device's failure, which this one's end causes, looks for it
                with suppress(Exception):
                    self._store.delete_key(keys[self.rank])
                text = " ".join(str(error).split())[:300]
                print(
                    f"process {self.rank} of {self.count} failed and others did not: {text}; what "
                    "was finished is kept: the same command goes on",
                    file=sys.stderr, flush=True,
                )  # fmt: skip
                os._exit(3)
            raise

    def close(self) -> None:
        """The run is over."""
        import torch.distributed as dist

        dist.destroy_process_group()


class Leader:
    """The trainer of the first process: tells the others of each training."""

    own = True
    together = True

    def __init__(self, team: Team) -> None:
        self._team = team

    def prepare(self, *arguments):
        """As of `benchmark.training.prepare`; the others then read the same scans."""
        from benchmark.training.prepare import prepare

        prepared = prepare(*arguments)
        self._team.tell(("prepare", _mark(prepared), harness_hash()))
        return prepared

    def run_cell(self, method, prepared, settings, seed, device, threads, report=None, **more):
        """As of `benchmark.training.cell`."""
        from benchmark.training.cell import run_cell

        if not method.trained or more.get("weights") is not None:
            return run_cell(method, prepared, settings, seed, device, threads, report, **more)
        keeps = more.get("resume") is not None
        self._team.tell(
            ("train", method, settings, seed, device, threads, more.get("start"), keeps)
        )
        return self._team.train(method, prepared, settings, seed, device, threads, report, **more)


class _Nowhere:
    """In the place of a checkpoint, for all processes but the first."""

    failed = False

    def load(self) -> None:
        return None

    def due(self, at_end: bool = False) -> bool:
        return False

    def save(self, snapshot) -> None: ...

    def say(self, line: str) -> None: ...

    def discard(self, why: str) -> None: ...


def lead(request: Request, display):
    """The first process's run; see `benchmark.runs.execute.execute`."""
    from dataclasses import replace

    from benchmark.runs.execute import execute

    team = Team(chosen_device(request.device))
    display.say(f"{team.count} processes train each network together, a part of each batch each")
    # if this fails, torchrun ends the others
    outcome = execute(replace(request, in_process=True), display, trainer=Leader(team))
    team.tell(("end",))
    return outcome


def follow(request: Request) -> int:
    """The run of every other process: takes part in each training and writes nothing.

    Raises
    ------
    UserError
        If it does not find the scans that the first one has.
    """
    from rich.console import Console

    from benchmark.runs.display import Display
    from benchmark.training import stop

    team = Team(chosen_device(request.device))
    training = False

    def receive(signum: int, frame: object) -> None:
        # in a training, all devices stop after the same step
        if not training:
            os._exit(128 + signum)
        stop.note(signum)

    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, receive)
    quiet = Display(Console(file=open(os.devnull, "w"), force_terminal=False))
    prepared = None
    while True:
        match team.hear():
            case ["prepare", mark, harness]:
                if harness != harness_hash():
                    raise UserError(
                        f"process {team.rank} has other code of this program than the first one: "
                        "install the same version on all machines, and start again"
                    )
                prepared = _prepare(request, quiet)
                if _mark(prepared) != mark:
                    raise UserError(
                        f"process {team.rank} finds other scans than the first one: all machines "
                        "need the same --data and cache, on a shared file system"
                    )
            case ["train", method, settings, seed, device, threads, start, keeps]:
                training = True
                more = {"resume": _Nowhere()} if keeps else {}
                if start is not None:
                    more["start"] = start
                try:
                    team.train(method, prepared, settings, seed, device, threads, **more)
                except KeyboardInterrupt:
                    return 0
                except Exception:  # the first process writes it down
                    pass
                training = False
            case _:
                team.close()
                return 0


def _prepare(request: Request, display):
    from benchmark.runs.execute import settle
    from benchmark.training.prepare import prepare

    settled = settle(request, display)
    with display.counting("scans") as progress:
        return prepare(
            settled.cohort, settled.split, settled.scale.settings, progress, request.workers,
            request.places,
        )  # fmt: skip


def _mark(prepared) -> tuple:
    """By which two processes know that they have the same scans."""
    lesions = sum(float(example.scores.sum()) for example in prepared.train)
    return tuple(prepared.grid.shape), len(prepared.train), tuple(prepared.test_ids), lesions
