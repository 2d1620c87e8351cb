"""Ctrl-C and SIGTERM: both end a run in order, and neither breaks off what is half written."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from benchmark.training import stop

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(KeyboardInterrupt):
    """The run was asked to end.

    Parameters
    ----------
    signum : int
        The signal; 128 more is the exit status, as shells have it.
    """

    def __init__(self, signum: int = signal.SIGINT) -> None:
        super().__init__()
        self.signum = int(signum)
        self.unfinished = ""

    @property
    def status(self) -> int:
        """130 for Ctrl-C, 143 for SIGTERM."""
        return 128 + self.signum


class Interrupts:
    """What a signal does while a suite runs: raise `Stopped`, or wait until it may.

    Attributes
    ----------
    asked : int
        The signal that a training in this process was told of.
    """

    def __init__(self) -> None:
        self._holding = False
        self._waiting: int | None = None
        self.asked: int = signal.SIGINT

    def _receive(self, signum: int, frame: object) -> None:
        if self._holding:
            self._waiting = signum
            return
        if stop.ask(signum):
            # a training in this process ends between two steps, with its checkpoint written
            self.asked = signum
            return
        raise Stopped(signum)

    @contextmanager
    def installed(self) -> Iterator[Interrupts]:
        """Handle the signals within; outside the main thread, where Python forbids it, do not."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        before = {signum: signal.getsignal(signum) for signum in SIGNALS}
        try:
            for signum in SIGNALS:
                signal.signal(signum, self._receive)
            yield self
        finally:
            for signum, handler in before.items():
                # None is a handler that was not set by Python and cannot be set by it
                signal.signal(signum, signal.SIG_DFL if handler is None else handler)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let a signal wait until the end, while a result takes its place."""
        self._holding = True
        try:
            yield
        finally:
            self._holding = False
            signum, self._waiting = self._waiting, None
        if signum is not None:
            raise Stopped(signum)
