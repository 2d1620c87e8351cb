"""What ``benchmark data`` does: make, check and describe the scans of a cohort."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from benchmark.calcium import RISK_NAMES, score_scan
from benchmark.cohorts.base import Cohort
from benchmark.cohorts.split import Split
from benchmark.runs.display import Display, duration
from benchmark.runs.sources import tier_split


def make_data(
    cohort: Cohort, display: Display, train: int | None, test: int | None, workers: int | None
) -> None:
    """Make or convert the scans of a split."""
    begin = time.monotonic()
    ids = _ids(cohort, train, test)
    with display.counting(f"cohort {cohort.name}") as progress:
        cohort.prepare(ids, progress, workers)
    display.say(f"{cohort.name}: {len(ids)} scans ready after {duration(time.monotonic() - begin)}")
    folder = getattr(cohort, "folder", None)
    if folder is not None:
        display.say(f"kept in {folder}")


def check_data(
    cohort: Cohort, display: Display, train: int | None, test: int | None, workers: int | None
) -> int:
    """Check every scan, print one row each for those that are not simply ready.

    Returns
    -------
    int
        Number of scans refused.
    """
    own = getattr(cohort, "check", None)
    if own is not None:
        with display.counting(f"checking {cohort.name}") as progress:
            rows = own(progress)
        for row in rows:
            facts = "" if row.size is None else _facts(row)
            reason = f" {row.reason}" if row.reason else ""
            display.say(f"{row.verdict:<8} {row.id:<24} {facts}{reason}")
        refused = sum(row.verdict == "refused" for row in rows)
        display.say(f"{len(rows)} scans, {refused} refused")
        if not refused:
            cohort.records()
        return refused
    ids = _ids(cohort, train, test)
    with display.counting(f"cohort {cohort.name}") as progress:
        cohort.prepare(ids, progress, workers)
    records = {record.id: record for record in cohort.records()}
    refused = 0
    with display.counting(f"checking {cohort.name}") as progress:
        for done, id in enumerate(ids, start=1):
            fault = _fault(cohort.load(id), records[id].agatston)
            if fault:
                refused += 1
                display.say(f"refused  {id:<24} {fault}")
            progress(done, len(ids))
    display.say(f"{len(ids)} scans, {refused} refused, fingerprint {cohort.fingerprint()[:16]}")
    return refused


def describe_data(
    cohort: Cohort,
    display: Display,
    train: int | None,
    test: int | None,
    workers: int | None,
    folder: Path,
) -> list[Path]:
    """Print the split by risk category, and what else the cohort has to say of itself.

    Returns
    -------
    list of Path
        Figures written.
    """
    records = cohort.records()
    split = tier_split(cohort, train, test, ("train", "test"))
    display.say(f"cohort {cohort.name}: {len(records)} scans, {cohort.fingerprint()[:16]}")
    for note in cohort.notes:
        display.say(note)
    display.say("")
    for line in split_table(cohort, split):
        display.say(line)
    from benchmark.cohorts.phantom import PhantomCohort

    if not isinstance(cohort, PhantomCohort):
        return []
    from benchmark.cohorts.phantom.describe import describe
    from benchmark.cohorts.phantom.drawing import draw

    ids = _ids(cohort, train, test)
    with display.counting(f"cohort {cohort.name}") as progress:
        cohort.prepare(ids, progress, workers)
    with display.counting(f"measuring {cohort.name}") as progress:
        rows = describe(cohort, ids, progress)
    display.say("")
    wide = [max(len(getattr(row, name)) for row in rows) for name in ("quantity", "literature")]
    display.say(f"{f'measured on {len(ids)} scans':<{wide[0]}}  {'literature':<{wide[1]}}  phantom")
    for row in rows:
        display.say(f"{row.quantity:<{wide[0]}}  {row.literature:<{wide[1]}}  {row.phantom}")
    return draw(cohort, ids, folder)


def split_table(cohort: Cohort, split: Split) -> list[str]:
    """Numbers of scans by risk category and by centre, in all and in both parts of the split."""
    records = cohort.records()
    parts = {"all": {r.id for r in records}, "train": set(split.train), "test": set(split.test)}
    centres = sorted({record.centre for record in records})
    rows = [(name, lambda r, k=risk: r.risk == k) for risk, name in enumerate(RISK_NAMES)]
    rows += [(name, lambda r, c=name: r.centre == c) for name in centres]
    width = max(len(name) for name, _ in rows)
    lines = [f"{'scans':<{width}}" + "".join(f"{part:>14}" for part in parts)]
    for name, belongs in [*rows, ("together", lambda r: True)]:
        cells = []
        for ids in parts.values():
            count = sum(record.id in ids and belongs(record) for record in records)
            cells.append(f"{f'{count} ({100 * count / max(len(ids), 1):.0f} %)':>14}")
        lines.append(f"{name:<{width}}" + "".join(cells))
    return lines


def _ids(cohort: Cohort, train: int | None, test: int | None) -> tuple[str, ...]:
    if train is None and test is None:
        return tuple(record.id for record in cohort.records())
    split = tier_split(cohort, train, test, ("train", "test"))
    return (*split.train, *split.test)


def _facts(row) -> str:
    size = " x ".join(str(n) for n in row.size)
    spacing = " x ".join(f"{s:.2f}" for s in row.spacing)
    return (
        f"{size}, {spacing} mm, {row.hu_range[0]} to {row.hu_range[1]} HU, noise "
        f"{row.noise:.0f} HU, {row.lesions} lesions, Agatston {row.agatston:.0f}"
    )


def _fault(scan, agatston: float) -> str:
    """What is wrong with a scan that a program made; empty if nothing."""
    if scan.labels is None or scan.labels.shape != scan.voxels.shape:
        return "labels do not lie on the scan's grid"
    if scan.labels.max(initial=0) > 3:
        return f"unknown label {scan.labels.max()}"
    if (scan.voxels[scan.labels > 0] <= 130).any():
        return "a labelled voxel is not above 130 HU"
    try:
        found = score_scan(scan.voxels, scan.labels, scan.spacing)[0, 3]
    except ValueError as error:
        return str(error)
    if not np.isclose(found, agatston, rtol=1e-5, atol=0.01):
        return f"Agatston {found:.2f}, but its record says {agatston:.2f}"
    return ""
