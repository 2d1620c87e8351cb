"""What ``benchmark data`` does: make, check, describe and export the scans of a cohort."""

from __future__ import annotations

import csv
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmark.calcium import RISK_NAMES, SCORES, TARGETS, score_scan
from benchmark.cohorts.base import Cohort
from benchmark.cohorts.patients import patients_of
from benchmark.cohorts.same_scans import same_scans
from benchmark.cohorts.scan_check import ScanCheck
from benchmark.cohorts.split import Split
from benchmark.cohorts.split_choice import SplitChoice, choose_split, save_split
from benchmark.cores import usable_cores
from benchmark.errors import UserError
from benchmark.heart.places import Places
from benchmark.runs.display import Display, duration
from benchmark.runs.sources import TRAINING_SHARE, split_remarks, tier_split

WORTH_PROCESSES = 16
"""Scans from which on processes are worth their start."""


def make_data(
    cohort: Cohort, display: Display, train: int | None, test: int | None, workers: int | None
) -> None:
    """Make or convert the scans of a split."""
    begin = time.monotonic()
    if hasattr(cohort, "check"):
        # Risk categories, which a split needs, are known once all files are read.
        with display.counting(f"reading {cohort.name}") as progress:
            cohort.check(progress, _processes(cohort, workers))
    ids = _ids(cohort, train, test)
    with display.counting(f"cohort {cohort.name}") as progress:
        cohort.prepare(ids, progress, workers)
    display.say(f"{cohort.name}: {len(ids)} scans ready after {duration(time.monotonic() - begin)}")
    folder = getattr(cohort, "folder", None)
    if folder is not None:
        display.say(f"kept in {folder}")


def check_data(
    cohort: Cohort,
    display: Display,
    train: int | None,
    test: int | None,
    workers: int | None,
    table: Path | None = None,
    choice: SplitChoice | None = None,
    pictures: Path | None = None,
    hearts: Places | None = None,
) -> int:
    """Check every scan. Of scans from files each gets a row; else those with a fault alone.

    Parameters
    ----------
    cohort, display, train, test, workers
        As for the other functions; scans from files are checked all.
    table : Path, optional
        CSV file to be written with a row for each scan.
    choice : SplitChoice, optional
        A split that is tried out.
    pictures : Path, optional
        Folder for a picture of each scan with the heart's box.
    hearts : Places, optional
        Where hearts are known to be: how many are found there is said.

    Returns
    -------
    int
        Number of scans refused, and of faults between scans.
    """
    if hasattr(cohort, "check"):
        return _check_files(cohort, display, workers, table, choice, pictures, hearts)
    ids = _ids(cohort, train, test)
    with display.counting(f"cohort {cohort.name}") as progress:
        cohort.prepare(ids, progress, workers)
    records = {record.id: record for record in cohort.records()}
    refused = 0
    with display.counting(f"checking {cohort.name}") as progress:
        for done, id in enumerate(ids, start=1):
            expected = None if cohort.planned else records[id].agatston
            fault = _fault(cohort.load(id), expected)
            if fault:
                refused += 1
                display.say(f"refused  {id:<24} {fault}")
            progress(done, len(ids))
    _look_at_hearts(cohort, ids, pictures, hearts, display)
    display.say(f"{len(ids)} scans, {refused} refused, fingerprint {cohort.fingerprint()[:16]}")
    return refused


def _check_files(
    cohort,
    display: Display,
    workers: int | None,
    table: Path | None,
    choice: SplitChoice | None,
    pictures: Path | None,
    hearts: Places | None,
) -> int:
    """Print a row for each scan of a `DiskCohort`, and what is refused once more at the end."""
    with display.counting(f"checking {cohort.name}") as progress:
        rows = cohort.check(progress, _processes(cohort, workers))
    for line in check_table(rows):
        display.say(line)
    if table is not None:
        write_check_table(rows, table)
        display.say(f"written: {table}")
    ids = [row.id for row in rows if row.verdict != "refused"]
    _look_at_hearts(cohort, ids, pictures, hearts, display)
    for note in cohort.notes:
        display.say(note)
    refused = [row for row in rows if row.verdict == "refused"]
    faults = list(cohort.faults())
    warned = sum(row.verdict == "warning" for row in rows)
    labelled = len(rows) - len(cohort.unlabelled)
    choice = choice or cohort.choice
    if labelled and (not refused or (cohort.leave_out and len(refused) < labelled)):
        records = cohort.records()
        if not faults:
            try:
                split = choose_split(records, choice or SplitChoice(), TRAINING_SHARE)
                if choice is not None:
                    for line in split_remarks(cohort, records, split, choice):
                        display.say(f"warning: {line}")
            except UserError as error:
                if choice is not None:
                    faults.append(str(error))
                elif same_scans(records):
                    display.say(f"warning: a run would refuse the split by risk: {error}")
    display.say(
        f"{len(rows)} scans, {len(refused)} refused, {warned} with a warning, "
        f"{len(rows) - labelled} without labels"
    )
    for line in (*(f"{row.id}: {row.reason}" for row in refused), *faults):
        display.say(f"refused: {line}")
    return len(refused) + len(faults)


def _look_at_hearts(
    cohort, ids: Sequence[str], folder: Path | None, known: Places | None, display: Display
) -> None:
    """Write a picture of each heart, and compare them with known places, if asked for."""
    if folder is not None:
        from benchmark.heart.picture import write_pictures

        with display.counting("drawing hearts") as progress:
            found = write_pictures(cohort, ids, folder, progress)
        lost = [id for id, heart in found.items() if not heart.found]
        if lost:
            more = f" and {len(lost) - 3} more" if len(lost) > 3 else ""
            display.say(f"no heart was found in {len(lost)} scans: {', '.join(lost[:3])}{more}")
        display.say(f"{len(found)} pictures written: {folder}")
    drawn = cohort.hearts(ids) if known is None and hasattr(cohort, "hearts") else {}
    if drawn:
        known = Places(f"cohort {cohort.name}", drawn)
    if known is not None:
        from benchmark.heart.hits import hit_lines, measure_hits

        known.require({*ids, *(record.id for record in cohort.records())}, ())
        scans = [id for id in ids if id in known.by_id]
        if not scans:
            raise UserError(f"{known.source}: names none of the {len(ids)} scans that are checked")
        with display.counting("finding hearts") as progress:
            apart, sure = measure_hits(cohort, known, scans, progress)
        for line in hit_lines(scans, apart, sure):
            display.say(line)


def _processes(cohort, workers: int | None) -> int | None:
    """Return how many processes read the files of a cohort, if nobody said."""
    many = workers is None and len(cohort.ids) >= WORTH_PROCESSES
    return usable_cores() if many else workers


def check_table(rows: Sequence[ScanCheck]) -> list[str]:
    """One line for each scan under a line of headings: geometry, HU, noise, scores, verdict."""
    cells = [_CHECK_HEADINGS, *(_check_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(_CHECK_HEADINGS))]
    lines = ["  ".join(f"{c:<{w}}" for c, w in zip(line, widths, strict=True)) for line in cells]
    reasons = ["reason", *(row.reason for row in rows)]
    return [f"{line}  {reason}".rstrip() for line, reason in zip(lines, reasons, strict=True)]


_CHECK_HEADINGS = (
    "verdict", "scan", "size z y x", "spacing mm", "HU", "noise", "heart x y z", "sure", "lesions",
    "LAD", "LCX", "RCA", "Agatston", "mm3", "mg", "risk",
)  # fmt: skip


def _check_cells(row: ScanCheck) -> tuple[str, ...]:
    cells = [row.verdict, row.id]
    if row.size is None:
        return (*cells, *[""] * (len(_CHECK_HEADINGS) - 2))
    cells += [
        " ".join(map(str, row.size)),
        " ".join(f"{length:.2f}" for length in row.spacing),
        f"{row.hu_range[0]} to {row.hu_range[1]}",
        f"{row.noise:.0f}",
        " ".join(f"{place:.0f}" for place in row.heart),
        f"{row.confidence:.2f}",
    ]
    if row.scores is None:
        return (*cells, *["-"] * 8)
    scores = [f"{row.scores[place]:.1f}" for place in (0, 1, 2, 3, 7, 11)]
    return (*cells, str(row.lesions), *scores, RISK_NAMES[row.risk])


def write_check_table(rows: Sequence[ScanCheck], path: Path) -> None:
    """Write the checks as CSV, with all twelve scores.

    Raises
    ------
    UserError
        If the file cannot be written.
    """
    names = [f"{score}_{target}" for score in SCORES for target in TARGETS]
    facts = ["z", "y", "x", "spacing_z", "spacing_y", "spacing_x", "lowest_hu", "highest_hu"]
    facts += ["heart_x", "heart_y", "heart_z", "heart_confidence"]
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["id", "verdict", *facts, "noise", "lesions", "risk", *names, "reason"])
            for row in rows:
                sure = None if row.confidence is None else (row.confidence,)
                lists = ((row.size, 3), (row.spacing, 3), (row.hu_range, 2), (row.heart, 3))
                lists += ((sure, 1),)
                numbers = [v for values, count in lists for v in values or [""] * count]
                more = ["" if v is None else v for v in (row.noise, row.lesions, row.risk)]
                scores = row.scores or [""] * len(names)
                writer.writerow([row.id, row.verdict, *numbers, *more, *scores, row.reason])
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from error


def export_data(
    cohort: Cohort,
    display: Display,
    format: str,
    out: Path,
    train: int | None,
    test: int | None,
    workers: int | None,
    choice: SplitChoice | None = None,
) -> None:
    """Write the scans of a cohort in a format that other programs read.

    Raises
    ------
    UserError
        If a scan cannot be read or a file not be written, or the folder is not empty.
    """
    from benchmark.cohorts.export import export_cohort

    ids = _ids(cohort, train, test)
    split = None
    if choice is not None:
        split = tier_split(cohort, train, test, ("train", "test"), choice)
        ids = (*split.train, *split.test)
    with display.counting(f"cohort {cohort.name}") as progress:
        cohort.prepare(ids, progress, workers)
    with display.counting(f"writing {cohort.name}") as progress:
        export_cohort(cohort, ids, format, out, split, progress)
    display.say(f"{len(ids)} scans written as {format}: {out}")
    whose = patients_of(cohort, ids)
    if whose.together and format != "nifti":
        display.say(
            f"warning: {format} says nothing of patients: these scans of {whose.count(ids)} "
            "patients will be taken for patients of their own"
        )


def describe_data(
    cohort: Cohort,
    display: Display,
    train: int | None,
    test: int | None,
    workers: int | None,
    folder: Path,
    choice: SplitChoice | None = None,
) -> list[Path]:
    """Print and keep the split, and print what else the cohort has to say of itself.

    The split goes to ``split.json`` in the folder, with its content hash.

    Returns
    -------
    list of Path
        Figures written.
    """
    records = cohort.records()
    split = tier_split(cohort, train, test, ("train", "test"), choice)
    display.say(f"cohort {cohort.name}: {len(records)} scans, {cohort.fingerprint()[:16]}")
    for note in cohort.notes:
        display.say(note)
    display.say("")
    for line in split_table(cohort, split):
        display.say(line)
    save_split(split, folder / "split.json", cohort.fingerprint())
    display.say("")
    display.say(f"split {split.kind}, seed {split.seed}: {split.hash}, {folder / 'split.json'}")
    from benchmark.cohorts.phantom import PhantomCohort

    if not isinstance(cohort, PhantomCohort):
        return []
    from benchmark.cohorts.phantom.describe import describe
    from benchmark.cohorts.phantom.pictures import draw

    ids = _ids(cohort, train, test)
    with display.counting(f"cohort {cohort.name}") as progress:
        cohort.prepare(ids, progress, workers)
    with display.counting(f"measuring {cohort.name}") as progress:
        rows = describe(cohort, ids, progress)
    display.say("")
    cells = [
        ("" if row.good else "out", row.quantity, row.value(), row.target(), row.source)
        for row in rows
    ]
    heading = ("", f"measured on {len(ids)} scans", "phantom", "target", "source")
    wide = [max(len(row[k]) for row in (heading, *cells)) for k in range(5)]
    for row in (heading, *cells):
        display.say(
            "  ".join(f"{cell:<{width}}" for cell, width in zip(row, wide, strict=True)).rstrip()
        )
    out = [row.quantity for row in rows if not row.good]
    display.say("")
    if not any(row.judged for row in rows):
        display.say("too few scans to judge them by the targets: take 300 or more")
        return draw(cohort, ids, folder)
    display.say(
        f"{len(out)} of {sum(row.judged for row in rows)} rows lie outside their target: "
        f"{'; '.join(out)}"
        if out
        else f"all {sum(row.judged for row in rows)} rows with a target reach it"
    )
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
    if train is None and test is None and cohort.usual is None:
        return tuple(record.id for record in cohort.records())
    split = tier_split(cohort, train, test, ("train", "test"))
    return (*split.train, *split.test)


def _fault(scan, agatston: float | None) -> str:
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
    if agatston is not None and not np.isclose(found, agatston, rtol=1e-5, atol=0.01):
        return f"Agatston {found:.2f}, but its record says {agatston:.2f}"
    return ""
