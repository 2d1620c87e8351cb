"""Who is at work on a cell, told across processes and machines that share a results folder.

A cell's owner is a small JSON file beside the cells, ``cells/.locks/<cell>.json``: machine,
processes and when they began. Its time of change is the heartbeat. `filelock` guards the moment in
which owners are looked at and changed.

An owner is gone, and its cell is taken over, if
- it worked on this machine and none of its processes lives; a process number that another program
  has since been given is told by the time it began;
- it works elsewhere and its heartbeat stood still for `STALE` seconds: by the clock of the file
  server, while this process watched for `WATCH` seconds; or by this process's own steady clock.
  No clock of day decides alone, so a clock that is set forward or back takes nobody's cell.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from benchmark.errors import UserError
from benchmark.whole import write_text

HEARTBEAT = 30.0
"""Seconds between two signs of life."""
STALE = 600.0
"""Seconds without a sign of life after which an owner on another machine counts as gone."""
WATCH = 3 * HEARTBEAT
"""Least seconds for which a heartbeat is watched before it is called still."""
GUARD_SECONDS = 60.0
"""Longest wait for another process that looks at owners; it takes milliseconds."""

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)


@dataclass(frozen=True)
class Owner:
    """Who is at work on a cell.

    Attributes
    ----------
    token : str
        Drawn anew each time a cell is taken.
    host : str
        Name of the machine, for people.
    machine : str
        Name, boot and process namespace: process numbers mean the same only where all agree.
    processes : tuple of (int, str)
        Number and start of each; the start is empty where the system does not tell it.
    since : str
        Time of day, for people.
    """

    token: str
    host: str
    machine: str
    processes: tuple[tuple[int, str], ...]
    since: str

    def __str__(self) -> str:
        numbers = ", ".join(str(pid) for pid, _ in self.processes)
        return f"process {numbers or 'unknown'} on {self.host} since {self.since}"


class Held:
    """A cell that this process is at work on; give it back with `release`.

    Parameters
    ----------
    locks : Locks
    name : str
    owner : Owner
    """

    def __init__(self, locks: Locks, name: str, owner: Owner) -> None:
        self._locks, self._name, self._owner = locks, name, owner
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True, name="heartbeat")
        self._thread.start()

    def _beat(self) -> None:
        while not self._end.wait(self._locks.heartbeat):
            try:
                os.utime(self._locks.path(self._name))
            except OSError:
                pass  # deleted or not writable: `is_mine` tells before anything is kept

    def is_mine(self) -> bool:
        """Whether nobody took the cell over, as after a machine that slept for long."""
        owner = self._locks.owner(self._name)
        return owner is not None and owner.token == self._owner.token

    def add(self, pid: int) -> None:
        """Name a further process, that must have ended too before the cell is free."""
        processes = (*self._owner.processes, (pid, _started(pid)))
        with self._locks.guard():
            if self.is_mine():
                self._owner = Owner(**{**self._owner.__dict__, "processes": processes})
                self._locks.write(self._name, self._owner)

    def release(self) -> None:
        """Give the cell back."""
        self._end.set()
        self._thread.join()
        with self._locks.guard():
            if self.is_mine():
                self._locks.path(self._name).unlink(missing_ok=True)


class Locks:
    """The owners of the cells of one results folder.

    Parameters
    ----------
    folder : Path
        ``cells/.locks``.
    heartbeat, stale, watch : float
        See `HEARTBEAT`, `STALE` and `WATCH`.
    """

    def __init__(
        self,
        folder: Path,
        heartbeat: float = HEARTBEAT,
        stale: float = STALE,
        watch: float = WATCH,
    ) -> None:
        self.folder = folder
        self.heartbeat, self.stale, self.watch = heartbeat, stale, watch
        self._seen: dict[str, tuple[int, float]] = {}

    def require(self) -> None:
        """Try the locks, before hours go into what could not be shared.

        Raises
        ------
        UserError
            If the file system has none.
        OSError
            If the folder cannot be written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.guard():
            pass

    def path(self, name: str) -> Path:
        """The file that names the owner of a cell."""
        return self.folder / f"{name}.json"

    def take(self, name: str, say: Callable[[str], None]) -> Held | None:
        """Begin work on a cell, or None if another process is at it.

        Parameters
        ----------
        name : str
            The cell's folder.
        say : callable
            Told in one line if the cell is taken over from an owner that is gone.

        Raises
        ------
        UserError
            If the folder's locks are held for a minute.
        OSError
            If the folder cannot be written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.guard():
            before = self.owner(name)
            if before is not None:
                why = self._gone(name, before)
                if not why:
                    return None
                say(f"{name}: taken over from {before}, which {why}")
            owner = Owner(
                uuid.uuid4().hex,
                socket.gethostname(),
                _machine(),
                ((os.getpid(), _started(os.getpid())),),
                datetime.now(UTC).isoformat(timespec="seconds"),
            )
            self.write(name, owner)
            self._seen.pop(name, None)
        return Held(self, name, owner)

    def owner(self, name: str) -> Owner | None:
        """Who is at work on a cell, alive or not; None if nobody is."""
        try:
            values = json.loads(self.path(name).read_text(encoding="utf-8"))
            return Owner(
                str(values["token"]),
                str(values["host"]),
                str(values["machine"]),
                tuple((int(pid), str(start)) for pid, start in values["processes"]),
                str(values["since"]),
            )
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, PermissionError):
            # closed to us, written by hand or by another program: the heartbeat still tells
            return Owner("", "an unknown machine", "", (), "an unknown time")

    def busy(self, name: str) -> Owner | None:
        """The owner of a cell if it lives or may live."""
        owner = self.owner(name)
        return owner if owner is not None and not self._gone(name, owner) else None

    def write(self, name: str, owner: Owner) -> None:
        """Write the owner's file whole or not at all."""
        write_text(self.path(name), json.dumps(owner.__dict__, indent=1) + "\n")

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Keep all other processes from looking at owners or changing them."""
        path = self.folder / "guard.lock"
        try:
            # a lock object of its own each time: the heartbeat and the main thread may both ask
            with FileLock(path, timeout=GUARD_SECONDS, thread_local=False):
                yield
        except Timeout:
            raise UserError(
                f"{path} was held by another process for {GUARD_SECONDS:.0f} s; is one stopped?"
            ) from None
        except (OSError, NotImplementedError) as error:
            # `filelock` says so itself where the system knows no such call
            if getattr(error, "errno", errno.ENOSYS) not in _NO_LOCKS:
                raise
            raise UserError(
                f"{self.folder}: this file system has no locks ({os.strerror(errno.ENOLCK)}), by "
                "which processes that share it tell who is at work; choose a folder on another "
                "disk with --out, or have the network folder mounted with locks"
            ) from None

    def _gone(self, name: str, owner: Owner) -> str:
        """Why an owner counts as gone; empty while it may live."""
        if owner.machine == _machine():
            if any(_alive(pid, start) for pid, start in owner.processes):
                return ""
            return "ended without giving it back"
        try:
            beat = self.path(name).stat().st_mtime_ns
        except FileNotFoundError:
            return "has just ended"
        now = time.monotonic()
        last, since = self._seen.get(name, (None, now))
        if last != beat:
            since = now
        self._seen[name] = (beat, since)
        watched = now - since
        if watched >= self.stale or (watched >= self.watch and self._age(beat) >= self.stale):
            return f"gave no sign of life for {max(watched, self.stale):.0f} s"
        return ""

    def _age(self, beat: int) -> float:
        """Seconds since a heartbeat, by the clock of the machine that keeps the files."""
        probe = self.folder / f"clock.{uuid.uuid4().hex}"
        try:
            probe.touch()
            return (probe.stat().st_mtime_ns - beat) / 1e9
        except OSError:
            return 0.0
        finally:
            probe.unlink(missing_ok=True)


def _machine() -> str:
    parts = [socket.gethostname()]
    try:
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
        parts.append(os.readlink("/proc/self/ns/pid"))
    except OSError:
        pass
    return " ".join(parts)


def _started(pid: int) -> str:
    """Ticks from boot to the start of a process; empty if it is gone or nobody tells."""
    fields = _status(pid)
    return fields[19] if fields else ""


def _alive(pid: int, started: str) -> bool:
    fields = _status(pid)
    if fields is not None:
        # Z and X: it has ended and nobody has asked yet how
        return fields[0] not in "ZX" and started in ("", fields[19])
    if Path("/proc/self/stat").exists():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _status(pid: int) -> list[str] | None:
    """Fields of /proc/PID/stat after the name, which may hold anything."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
