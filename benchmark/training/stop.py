"""A wish to stop, which a training heeds between two steps and everything else at once. No torch.

Signals come at any moment. Within a step, weights and optimiser are half changed: what is saved
then is no state of any training. So the loop says `heeding`, and a signal that comes meanwhile only
leaves a note for it; a second one ends the process's work at once.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


class _Wish:
    heeding = False
    signum: int | None = None


def install(signums: tuple[int, ...] = (signal.SIGTERM,)) -> None:
    """Let these signals end a training between two steps, and other work at once."""
    for signum in signums:
        signal.signal(signum, _receive)


def _receive(signum: int, frame: object) -> None:
    if not ask(signum):
        raise KeyboardInterrupt


def ask(signum: int) -> bool:
    """Note a wish to stop; False if nobody would heed it, or it was noted before."""
    if not _Wish.heeding or _Wish.signum is not None:
        return False
    _Wish.signum = signum
    return True


def note(signum: int) -> None:
    """Note a wish to stop for a training that has begun, or is just about to."""
    _Wish.signum = signum


def asked() -> bool:
    """Whether the loop should stop now."""
    return _Wish.signum is not None


@contextmanager
def heeding() -> Iterator[None]:
    """Within, signals wait for the loop, which asks `asked` between two steps."""
    before = _Wish.heeding
    _Wish.heeding = True
    try:
        yield
    finally:
        _Wish.heeding = before
        _Wish.signum = None
