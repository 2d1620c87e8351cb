"""The process that looks at users' files for `benchmark.look`, and ends with what they do to it."""

from __future__ import annotations

import ctypes
import inspect
import json
import os
import pickle
import signal
import sys
from pathlib import Path

from benchmark.option_values import holds
from benchmark.sources import modules_beyond
from benchmark.tunable import declared

REQUEST, REPLY, OUTPUT = "request.pickle", "reply.json", "output.txt"
_PR_SET_PDEATHSIG = 1


def serve() -> None:
    """Answer requests, each in a fork of this process; without forks the first alone.

    A request is the name of a folder, in a line of the standard input. When it is answered, a line
    of the standard output tells the exit status of the process that did.
    """
    _die_with_parent()
    try:
        import torch  # noqa: F401 once, for all forks
    except ImportError:
        pass
    for line in sys.stdin:
        folder = Path(line.rstrip("\n"))
        if sys.platform != "linux":
            _answer(folder)
            return
        pid = os.fork()
        if pid == 0:
            try:
                _die_with_parent()
                _answer(folder)
            finally:
                os._exit(0)
        _, status = os.waitpid(pid, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def _answer(folder: Path) -> None:
    code, build = pickle.loads((folder / REQUEST).read_bytes())
    output = os.open(folder / OUTPUT, os.O_WRONLY | os.O_CREAT, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    for number in (1, 2):
        os.dup2(output, number)
    # a terminal's Ctrl-C is the parent's to decide
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    reply = _try(code, build)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    text = json.dumps(reply)
    (folder / f"{REPLY}.part").write_text(text, encoding="utf-8")
    (folder / f"{REPLY}.part").rename(folder / REPLY)


def _try(code, build: tuple | None) -> dict:
    from benchmark.frozen import import_own

    try:
        before = set(sys.modules)
        module = import_own(code.digest, code.module, code.path, code.files)
        if build is None:
            return {
                "classes": {n: _facts(v) for n, v in vars(module).items() if callable(v)},
                "found": modules_beyond(code, before),
            }
        name, arguments, options = build
        model = getattr(module, name)(*arguments, **options)
        return {"outputs": [str(name) for name in getattr(model, "outputs", ())]}
    except Exception as error:
        words = " ".join(str(error).split())
        return {"failed": f"{type(error).__name__}: {words}" if words else type(error).__name__}
    except BaseException as error:
        words = " ".join(str(error).split())
        name = type(error).__name__
        return {"ended": f"{name}: {words}" if words else name}


def _facts(kind: object) -> dict:
    """What a run must know of a class before it trains it."""
    facts: dict = {"outputs": [], "defaults": {}, "refused": {}, "takes_any": False}
    try:
        facts["tunable"], facts["tunable_fault"] = declared(kind)
        facts["outputs"] = [str(name) for name in getattr(kind, "outputs", ())]
        parameters = inspect.signature(kind).parameters.values()
    except Exception:  # of a class that is no network's, or without a signature
        return facts
    for parameter in parameters:
        if parameter.kind is parameter.VAR_KEYWORD:
            facts["takes_any"] = True
        if parameter.default is parameter.empty:
            continue
        if holds(parameter.default):
            facts["defaults"][parameter.name] = parameter.default
        else:
            facts["refused"][parameter.name] = _shown(parameter.default)
    return facts


def _shown(value: object) -> str:
    try:
        return f"{value!r:.60}"
    except Exception:
        return f"a {type(value).__name__}"


def _die_with_parent() -> None:
    """Let the system end this process with its parent."""
    if sys.platform == "linux":
        try:
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        except (OSError, AttributeError):
            return
