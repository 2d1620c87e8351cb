"""What checking full-size scans costs: CPU-seconds a scan, and memory as their number grows.

::

    python tests/speed/scans.py                                    time, 12 scans
    python tests/speed/scans.py --scans 50,200 --size 40,256,256   memory of two numbers of scans

Each line is one command of the benchmark in a process of its own: `data check` (read, judged,
scored and kept), `submit --check` and `submit --score` of label maps for all scans.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from benchmark.calcium import label_candidates

DIFFERENT = 6
"""Scans that are made; more are links to them under other names."""


def make_scan(shape: tuple[int, int, int], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """HU and labels (z, y, x): lung, a body with noise, ribs, and a lesion of each artery.

    The noise alone makes some thousand components above 130 HU, as in large patients.
    """
    random = np.random.default_rng(seed)
    z, y, x = shape
    rows, columns = np.ogrid[:y, :x]
    far = ((rows - y / 2) / (0.45 * y)) ** 2 + ((columns - x / 2) / (0.45 * x)) ** 2
    voxels = np.full(shape, -1000.0, np.float32)
    voxels[:, far < 1] = 40
    voxels[:, (far < 0.7) & (far > 0.3)] = -850
    voxels[:, (far < 0.85) & (far > 0.8)] = 600
    voxels[voxels > -900] += random.normal(0, 30, np.count_nonzero(voxels > -900))
    labels = np.zeros(shape, np.int16)
    for artery in (1, 2, 3):
        middle = (z // 2, y // 2 + 12 * (artery - 2), x // 2)
        voxels[middle[0] : middle[0] + 2, middle[1] : middle[1] + 4, middle[2] : middle[2] + 4] = (
            350
        )
        components, _ = label_candidates(voxels.astype(np.int16))
        labels[components == components[middle]] = artery
    return voxels.clip(-1024, 3071).astype(np.int16), labels


def write_apart(place: Path, count: int, shape: tuple[int, int, int]) -> None:
    """Write scans in a process of its own: Linux counts what a parent held for its children too."""
    words = ["--write", str(place), "--scans", str(count), "--size", ",".join(map(str, shape))]
    subprocess.run([sys.executable, __file__, *words], check=True)


def write_scans(folder: Path, maps: Path, count: int, shape: tuple[int, int, int]) -> None:
    """Training scans as the challenge has them, and label maps like a submission's."""
    for place in (folder, maps):
        place.mkdir(parents=True)
    for number in range(count):
        name = f"TRV{1 + number % 4}P{1 + number // 4}"
        names = (f"{name}CTI", f"{name}R")
        if number >= DIFFERENT:
            first = number % DIFFERENT
            old = f"TRV{1 + first % 4}P{1 + first // 4}"
            for part, kind in zip(names, ("CTI", "R"), strict=True):
                text = (folder / f"{old}{kind}.mhd").read_text(encoding="ascii")
                for place in (folder, maps)[: 1 if kind == "CTI" else 2]:
                    header = text.replace(f"{old}{kind}.raw", f"{part}.raw")
                    (place / f"{part}.mhd").write_text(header, encoding="ascii")
                    os.link(folder / f"{old}{kind}.raw", place / f"{part}.raw")
            continue
        for part, array in zip(names, make_scan(shape, number), strict=True):
            image = sitk.GetImageFromArray(array)
            image.SetSpacing((0.4 * 512 / shape[2], 0.4 * 512 / shape[1], 3.0))
            for place in (folder, maps)[: 1 if part.endswith("CTI") else 2]:
                sitk.WriteImage(image, str(place / f"{part}.mhd"))


def commands(folder: Path, maps: Path, cache: Path, workers: int) -> dict[str, list[str]]:
    """Arguments of the benchmark by what they do."""
    more = ["--data", str(folder), "--workers", str(workers)]
    return {
        "data check": [
            "data", "check", str(folder), "--cache", str(cache), "--workers", str(workers),
        ],
        "submit --check": [
            "submit", "orcascore", "--check", str(maps), "--scans", "training", *more,
        ],
        "submit --score": ["submit", "orcascore", "--score", str(maps), *more],
    }  # fmt: skip


def measure(words: list[str]) -> tuple[float, float, int]:
    """Wall seconds, CPU-seconds and the largest resident memory in bytes of any process of it."""
    code = (
        "import resource, sys; from benchmark.cli import main; status = main(sys.argv[1:]);"
        "own, sub = (resource.getrusage(w) for w in (resource.RUSAGE_SELF,"
        " resource.RUSAGE_CHILDREN));"
        "print('COST', own.ru_utime + own.ru_stime + sub.ru_utime + sub.ru_stime,"
        " max(own.ru_maxrss, sub.ru_maxrss) * 1024); sys.exit(status)"
    )
    begin = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", f"if __name__ == '__main__':\n  {code}", *words],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(words)} ended with {done.returncode}: {done.stderr[-2000:]}")
    _, seconds, memory = done.stdout.splitlines()[-1].split()
    return time.perf_counter() - begin, float(seconds), int(float(memory))


def main() -> None:
    """Print a line for each command and number of scans."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scans", default="12", help="one number or several: 50,200")
    parser.add_argument("--size", default="57,512,512", help="z,y,x")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--write", type=Path, help="write the scans there and measure nothing")
    options = parser.parse_args()
    shape = tuple(int(n) for n in options.size.split(","))
    if options.write:
        write_scans(options.write / "scans", options.write / "maps", int(options.scans), shape)
        return
    for count in (int(n) for n in options.scans.split(",")):
        place = Path(tempfile.mkdtemp(prefix="scans-"))
        try:
            write_apart(place, count, shape)
            words = commands(place / "scans", place / "maps", place / "cache", options.workers)
            for name, arguments in words.items():
                wall, cpu, memory = measure(arguments)
                print(
                    f"{name:15} {count:4} scans of {' x '.join(map(str, shape))}: "
                    f"{cpu / count:.3f} CPU-seconds and {wall / count:.3f} seconds a scan with "
                    f"{options.workers} processes, {memory / 2**20:.0f} MiB in the largest",
                    flush=True,
                )
        finally:
            shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    main()
