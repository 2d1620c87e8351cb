"""Run commands in forked children and say how each ended, how long it took and what it used.

A Python process with its imports takes a second; a fork takes hundredths of one. This process
imports what the commands need, runs nothing itself, and forks for each line of JSON it reads:
``{"arguments": [...], "folder": ..., "seconds": 10, "bytes": 2**30}``.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import pkgutil
import resource
import signal
import sys
import time
import traceback
from pathlib import Path


def main() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    sys.path.insert(0, str(Path(__file__).parents[2]))
    import blosc2  # noqa: F401
    import cc3d  # noqa: F401
    import highdicom  # noqa: F401
    import PIL.Image  # noqa: F401
    import pydicom.pixels  # noqa: F401
    import scipy.ndimage
    import scipy.stats  # noqa: F401
    import SimpleITK as sitk

    import benchmark.challenge
    import benchmark.cli
    import benchmark.cohorts
    import benchmark.commands.data
    import benchmark.prediction.evaluate
    import benchmark.report
    import benchmark.runs.execute

    for package in (benchmark.challenge, benchmark.cohorts, benchmark.report, benchmark.runs):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    print("ready", flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        print(json.dumps(_run(order)), flush=True)


def _run(order: dict) -> dict:
    out, err = os.memfd_create("out"), os.memfd_create("err")
    begin = time.monotonic()
    child = os.fork()
    if not child:
        _child(order, out, err)
    status, usage = _wait(child, begin + order["seconds"])
    return {
        "status": os.waitstatus_to_exitcode(status),
        "seconds": time.monotonic() - begin,
        # what the child took beyond the modules that it was given
        "peak": usage.ru_maxrss * 1024,
        "out": _text(out),
        "err": _text(err),
    }


def _child(order: dict, out: int, err: int) -> None:
    code = 70
    try:
        os.setsid()
        os.dup2(out, 1)
        os.dup2(err, 2)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        own = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        resource.setrlimit(resource.RLIMIT_AS, (own + order["bytes"],) * 2)
        os.chdir(order["folder"])
        from benchmark.cli import main as command

        code = command(order["arguments"])
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 71
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _wait(child: int, deadline: float):
    while True:
        done, status, usage = os.wait4(child, os.WNOHANG)
        if done:
            return status, usage
        if time.monotonic() > deadline:
            os.killpg(child, signal.SIGKILL)
            _, status, usage = os.wait4(child, 0)
            return status, usage
        time.sleep(0.002)


def _text(handle: int) -> str:
    with os.fdopen(handle, "rb") as file:
        file.seek(0)
        return file.read(1 << 20).decode("utf-8", "replace")


if __name__ == "__main__":
    main()
