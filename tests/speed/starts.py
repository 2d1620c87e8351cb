"""How long the command line takes to answer."""

from __future__ import annotations

import resource
import subprocess
import sys

from ratio import Line


def cpu_seconds(arguments: list[str], rounds: int = 5) -> float:
    """Least CPU seconds of ``python -m benchmark ...``, its start included."""
    best = float("inf")
    for _ in range(rounds):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [sys.executable, "-m", "benchmark", *arguments], check=True, capture_output=True
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        best = min(best, spent)
    return best


def measure() -> list[Line]:
    """``--help`` and ``list``, beside the interpreter alone."""
    lines = []
    for arguments, goal in ((["--help"], 0.4), (["list"], 0.6)):
        seconds = cpu_seconds(arguments)
        lines.append(
            Line(
                "start, CPU time",
                f"benchmark {' '.join(arguments)}",
                f"{seconds:.2f} s",
                "",
                seconds,
                "s",
                goal,
                most=True,
                floor=2 * goal,
            )
        )
    return lines
