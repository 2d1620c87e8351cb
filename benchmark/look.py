"""What a user's file holds, asked in a process of its own: this one never imports it for that.

A file may do anything when it is imported: change torch for all that comes after, end the program,
wait for ever. The process that looks at it is a fork of one that has imported torch and nothing
else, and ends with it.
"""

from __future__ import annotations

import atexit
import json
import os
import pickle
import select
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmark.errors import UserError
from benchmark.frozen import starter, write_copy
from benchmark.look_child import OUTPUT, REPLY, REQUEST
from benchmark.sources import Code

LONGEST = 300.0
"""Seconds that importing a file may take: PyTorch on a network disk takes a minute."""


def look(code: Code, shown: str) -> tuple[Code, dict]:
    """Import a file in a process of its own, once for the same text, and tell what it holds.

    Parameters
    ----------
    code : Code
    shown : str
        The file as its user named it.

    Returns
    -------
    code : Code
        With the files that no import statement leads to, which were seen now.
    classes : dict
        By name, each with ``outputs``, ``defaults`` by option, ``refused`` (the `repr` of defaults
        that JSON cannot hold) and ``takes_any``.

    Raises
    ------
    UserError
        If it cannot be imported, or ends the program.
    """
    reply = _ask(code, None)
    if "classes" not in reply:
        raise UserError(_complaint(reply, f"importing {shown}"))
    whole = code.with_found(reply["found"])
    _answers.setdefault(_key(whole, None), reply)
    return whole, reply["classes"]


def try_to_build(code: Code, name: str, arguments: tuple, options: dict) -> tuple[str, ...]:
    """Build a network of a user's file in a process of its own; its outputs.

    Raises
    ------
    UserError
        If it cannot be built.
    """
    reply = _ask(code, (name, arguments, options))
    if "outputs" not in reply:
        raise UserError(_complaint(reply, f"building {name}"))
    return tuple(reply["outputs"])


def _complaint(reply: dict, doing: str) -> str:
    if "failed" in reply:
        return f"{doing} failed: {reply['failed']}"
    if "slow" in reply:
        return f"{doing} took longer than {LONGEST:g} s and was ended"
    said = f"; it said: {reply['said']}" if reply["said"] else ""
    return f"{doing} ended the program ({reply['ended']}){said}"


_answers: dict[str, dict] = {}


def _ask(code: Code, build: tuple | None) -> dict:
    key = _key(code, build)
    if key not in _answers:
        _answers[key] = _ask_anew(code, build)
    return _answers[key]


def _key(code: Code, build: tuple | None) -> str:
    return f"{code.digest} {json.dumps(build)}"


def _ask_anew(code: Code, build: tuple | None) -> dict:
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        folder = Path(name)
        (folder / REQUEST).write_bytes(pickle.dumps((code, build), protocol=5))
        status = _server().ask(folder)
        if status is None:
            return {"slow": True}
        try:
            reply = json.loads((folder / REPLY).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            how = f"exit status {status}"
            if status < 0:
                how = f"killed by {signal.Signals(-status).name}"
            reply = {"ended": how}
        return reply | {"said": _last_line(folder / OUTPUT)}


def _last_line(path: Path) -> str:
    try:
        lines = path.read_bytes()[-10_000:].decode("utf-8", "replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1].strip()[:300] if lines else ""


class _Server:
    """The process that answers; see `benchmark.look_child.serve`."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self._folder = tempfile.TemporaryDirectory(prefix="benchmark-")
        copy = Path(self._folder.name) / "program.pickle"
        write_copy(copy)
        code = starter(copy, "from benchmark.look_child import serve; serve()")
        places = os.pathsep.join([place or os.getcwd() for place in sys.path])
        self._process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": places},
            start_new_session=True,
        )

    def alive(self) -> bool:
        """Whether this process can ask it."""
        return self.owner == os.getpid() and self._process.poll() is None

    def ask(self, folder: Path) -> int | None:
        """Let it answer a request; the exit status of the process that did, None if it hangs."""
        try:
            self._process.stdin.write(os.fsencode(f"{folder}\n"))
            self._process.stdin.flush()
            ready = select.select([self._process.stdout], [], [], LONGEST)[0]
            line = self._process.stdout.readline() if ready else None
        except BrokenPipeError:
            line = b""
        except BaseException:
            self.close()
            raise
        if line is None:
            self.close()
            return None
        return int(line) if line.strip() else self._process.wait()

    def close(self) -> None:
        """End it, and what it has begun."""
        if self.owner != os.getpid():
            return
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            try:
                stream.close()
            except OSError:
                continue
        self._folder.cleanup()


_servers: list[_Server] = []


def _server() -> _Server:
    for server in list(_servers):
        if server.alive():
            return server
        _servers.remove(server)
        server.close()
    _servers.append(_Server())
    return _servers[-1]


@atexit.register
def _close_all() -> None:
    for server in _servers:
        server.close()
