"""Scans on disk: decompression, preparation, and time and memory as their number grows."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from clinical import SHAPE, SPACING, scan
from ratio import Line, least

from benchmark.cohorts.base import Scan
from benchmark.cohorts.phantom.cache import read_scan, write_scan
from benchmark.training.clock import PeakMemory
from benchmark.training.grid import TrainingGrid
from benchmark.training.prepare import example

COUNTS = (100, 1000)
"""Small scans that are prepared; ``python tests/speed growth --scans 10000`` takes more."""


def decompression(rounds: int = 5) -> list[Line]:
    """CPU time of reading a 512 x 512 x 57 scan, its check sum included."""
    voxels, labels, _ = scan()
    made = Scan("one", "A", voxels, SPACING, labels)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "one.scan"
        write_scan(path, made, made.labels)
        megabytes = path.stat().st_size / 1e6
        seconds = least({"read": lambda: read_scan(path)}, rounds)["read"]
    return [
        Line(
            "reading",
            f"scan of {' x '.join(map(str, SHAPE[::-1]))}, {megabytes:.0f} MB on disk",
            f"{1000 * seconds:.0f} ms",
            "",
            1000 * seconds,
            "ms",
            60.0,
            most=True,
            floor=240.0,
        )
    ]


def grow(count: int) -> tuple[float, float]:
    """CPU seconds and peak memory (MB) of a process that prepares that many small scans."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import reading; print(*reading.prepared(int(sys.argv[2])))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(Path(__file__).parent), str(count)],
        check=True,
        capture_output=True,
        text=True,
    )
    seconds, megabytes = map(float, done.stdout.split())
    return seconds, megabytes


def prepared(count: int) -> tuple[float, float]:
    """In this process: prepare small scans made on the fly."""
    grid = TrainingGrid((6.0, 6.0, 6.0), (8, 8, 8))
    memory = PeakMemory(torch.device("cpu"))
    begin = time.process_time()
    for index in range(count):
        random = np.random.default_rng(index)
        voxels = random.integers(-100, 120, (12, 48, 48)).astype(np.int16)
        labels = np.zeros(voxels.shape, np.uint8)
        voxels[5:7, 20:24, 20:24], labels[5:7, 20:24, 20:24] = 400, 1
        example(Scan(str(index), "A", voxels, (3.0, 1.0, 1.0), labels), grid)
    spent = time.process_time() - begin
    return spent, memory.bytes() / 1e6


def growth(counts: tuple[int, int] = COUNTS) -> list[Line]:
    """Time a scan and peak memory, many scans beside few."""
    few, many = (grow(count) for count in counts)
    section = f"{counts[1]} small scans beside {counts[0]}"
    each = [1000 * found[0] / count for found, count in zip((few, many), counts, strict=True)]
    return [
        Line(
            section,
            "preparing, time a scan",
            f"{each[1]:.2f} ms",
            f"{each[0]:.2f} ms",
            each[1] / each[0],
            "x",
            1.3,
            most=True,
            floor=2.0,
        ),
        Line(
            section,
            "preparing, peak memory",
            f"{many[1]:.0f} MB",
            f"{few[1]:.0f} MB",
            many[1] / few[1],
            "x",
            1.3,
            most=True,
            floor=2.0,
        ),
    ]


def measure() -> list[Line]:
    """Both."""
    return decompression() + growth()
