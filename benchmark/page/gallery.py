"""Scans to look at: the worst, median and best of each method, slice by slice.

Networks vote on whole candidates, so a picture needs the slice once, the outline of each candidate
once, and one class a candidate and method: any method can be shown on any scan of the gallery.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.calcium import ARTERIES, RISK_NAMES, label_candidates, lesion_table, risk_category
from benchmark.cohorts.base import Cohort, Scan
from benchmark.errors import UserError
from benchmark.figures.examples import kept_classes, overlap_of
from benchmark.figures.slices import CALCIUM_WINDOW, View, check_cohort, view_of
from benchmark.page.differences import plain
from benchmark.page.lines import PageRun
from benchmark.runs.store import KeptCell

KINDS = ("worst", "median", "best")
MOST_SCANS = 18
MOST_BYTES = 1_500_000
"""Of all pictures of the page together, as they stand in the file."""
MOST_SLICES = 12
"""Of one scan: those with most calcium, found or not."""
WIDEST = 240
"""Pixels of a picture; finer slices are averaged down to it."""
QUALITY = 55
"""Of WebP, 0 to 100."""
LEAST_MM = (60.0, 80.0)


@dataclass(frozen=True, eq=False)
class GalleryPart:
    """The section, or why there is none.

    Attributes
    ----------
    why : str
        Empty if there are pictures.
    data : dict
        Scans and methods as plain values.
    notes : tuple of str
        What was left out.
    """

    why: str = ""
    data: dict | None = None
    notes: tuple[str, ...] = ()


def gallery_part(
    run: PageRun, open_cohort: Callable[[], Cohort], most_bytes: int = MOST_BYTES
) -> GalleryPart:
    """Pictures of a run's test scans.

    Parameters
    ----------
    run : PageRun
    open_cohort : callable
        Gives the scans of the run, or raises UserError.
    most_bytes : int
    """
    try:
        cells = _masks(run)
        chosen = choose(cells)
        if not chosen:
            return GalleryPart("No test scan holds coronary calcium.")
        classes = {name: kept_classes(run.run, cell) for name, cell in cells.items()}
        cohort = open_cohort()
        check_cohort(run.run, cohort)
        scans, left = _pictures(chosen, cells, classes, cohort, most_bytes)
    except UserError as error:
        return GalleryPart(str(error))
    shown = {scan["id"] for scan in scans}
    methods = [
        {
            "title": cell.title,
            "seed": cell.seed,
            "chosen": {kind: id for kind, id in chosen[name].items() if id in shown},
        }
        for name, cell in cells.items()
    ]
    notes = ()
    if left:
        notes = (
            f"{left} more scans would be a method's worst, median or best, and are left out to "
            "keep the file small.",
        )
    low, high = CALCIUM_WINDOW
    data = {"arteries": list(ARTERIES), "methods": methods, "scans": scans}
    data["window"] = f"{low:g} to {high:g} HU"
    return GalleryPart("", data, notes)


def _masks(run: PageRun) -> dict[str, KeptCell]:
    """The first finished seed of each trained method that labels voxels, best F1 first."""
    found = {}
    for line in run.lines:
        if line.source == "mask" and line.method["trained"]:
            cell = next(cell for cell in line.cells if cell.state == "finished")
            if cell.tp is not None:
                found[cell.method] = (line.measured["F1", "whole"].value, cell)
    if not found:
        raise UserError("no trained method of this run labels voxels, so there is nothing to draw")
    order = sorted(found, key=lambda name: -np.nan_to_num(found[name][0], nan=-1))
    return {name: found[name][1] for name in order}


def choose(cells: dict[str, KeptCell]) -> dict[str, dict[str, str]]:
    """Scan ids by method and kind, chosen by the F1 over the three arteries of scans with calcium.

    Of equal ones that with most calcium stands as worst and as best; of two middle ones the lower.
    Empty if no scan holds calcium.
    """
    chosen = {}
    for name, cell in cells.items():
        volume = cell.reference[:, 1, 3]
        diseased = np.flatnonzero(volume > 0)
        if not len(diseased):
            return {}
        tp, fp, fn = (part[:, :3].sum(axis=1) for part in overlap_of(cell))
        f1 = np.divide(2 * tp, 2 * tp + fp + fn, out=np.zeros_like(tp), where=tp + fp + fn > 0)
        order = sorted(diseased, key=lambda i: (f1[i], -volume[i]))
        best = max(diseased, key=lambda i: (f1[i], volume[i]))
        places = (order[0], order[(len(order) - 1) // 2], best)
        chosen[name] = {kind: cell.ids[i] for kind, i in zip(KINDS, places, strict=True)}
    return chosen


def _pictures(
    chosen: dict[str, dict[str, str]],
    cells: dict[str, KeptCell],
    classes: dict[str, dict[str, np.ndarray]],
    cohort: Cohort,
    most_bytes: int,
) -> tuple[list[dict], int]:
    """Scans in the order of the methods, as many as fit, and how many do not."""
    wanted = list(dict.fromkeys(chosen[name][kind] for kind in KINDS for name in chosen))
    scans, spent = [], 0
    for id in wanted[:MOST_SCANS]:
        estimates = {name: kept[id] for name, kept in classes.items()}
        scan = picture_scan(cohort.load(id), estimates)
        size = sum(len(level["image"]) + len(str(level["parts"])) for level in scan["slices"])
        if spent + size > most_bytes:
            break
        spent += size
        scans.append(scan | _scores(id, cells))
    return scans, len(wanted) - len(scans)


def _scores(id: str, cells: dict[str, KeptCell]) -> dict:
    """Agatston scores of one scan: the reference's, and each method's from its mask."""
    first = next(iter(cells.values()))
    agatston = float(first.reference[first.ids.index(id), 0, 3])
    return {
        "agatston": plain(agatston),
        "risk": RISK_NAMES[int(risk_category(agatston))],
        "estimates": [plain(float(cell.mask[cell.ids.index(id), 0, 3])) for cell in cells.values()],
    }


def picture_scan(scan: Scan, estimates: dict[str, np.ndarray]) -> dict:
    """One scan as plain values: slices as pictures, candidates as outlines with their classes.

    Parameters
    ----------
    scan : Scan
    estimates : dict of str to ndarray of uint8, (n + 1,)
        Class of each candidate by method; 0 for none.

    Raises
    ------
    UserError
        If the scan has another number of candidates than when the run was made.
    """
    components, count = label_candidates(scan.voxels)
    for name, own in estimates.items():
        if len(own) != count + 1:
            raise UserError(
                f"scan {scan.id} had {len(own) - 1} candidates for {name}, and has {count} now; "
                "run the suite again"
            )
    reference = np.zeros(count + 1, np.uint8)
    for lesion in lesion_table(scan.voxels, scan.labels, scan.spacing):
        reference[lesion.component] = lesion.label
    shown = reference > 0
    for own in estimates.values():
        shown |= own > 0
    shown[0] = False
    inside = shown[components]  # (z, y, x)
    area = inside.sum(axis=(1, 2))
    levels = sorted(np.argsort(-area, kind="stable")[:MOST_SLICES])
    levels = [int(z) for z in levels if area[z]] or [len(area) // 2]
    pixel = scan.spacing[1:]
    view = view_of(inside[levels].any(axis=0), pixel, LEAST_MM, LEAST_MM[0] / LEAST_MM[1])
    slices = [
        {
            "level": z + 1,
            "image": encode(view.crop(scan.voxels[z]), pixel),
            "parts": _parts(view.crop(components[z]), shown),
        }
        for z in levels
    ]
    kept = sorted({part[0] for level in slices for part in level["parts"]})
    return {
        "id": scan.id,
        "depth": len(scan.voxels),
        "size": _size(view, pixel),
        "pixel": [plain(pixel[1]), plain(pixel[0])],
        "slices": slices,
        "reference": {str(c): int(reference[c]) for c in kept},
        "classes": [{str(c): int(own[c]) for c in kept if own[c]} for own in estimates.values()],
    }


def _size(view: View, pixel: Sequence[float]) -> list[float]:
    """Width and height in mm."""
    width, height = (view.right - view.left) * pixel[1], (view.bottom - view.top) * pixel[0]
    return [plain(width), plain(height)]


def encode(image: np.ndarray, pixel: Sequence[float]) -> str:
    """HU (y, x) in the calcium window as a WebP data URI of square pixels."""
    from PIL import Image

    low, high = CALCIUM_WINDOW
    grey = np.clip((image.astype(np.float32) - low) / (high - low), 0, 1) * 255
    picture = Image.fromarray(grey.astype(np.uint8))
    width = min(WIDEST, image.shape[1])
    height = max(1, round(width * image.shape[0] * pixel[0] / (image.shape[1] * pixel[1])))
    picture = picture.resize((width, height), Image.Resampling.BOX)
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=QUALITY, method=4)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


def _parts(components: np.ndarray, shown: np.ndarray) -> list[list]:
    """Number and outline of each shown candidate of a slice (y, x)."""
    found = []
    for number in np.unique(components[shown[components]]):
        found.append([int(number), outline(components == number)])
    return found


def outline(mask: np.ndarray) -> str:
    """The edge of a mask (y, x) along its pixels' edges, as an SVG path in pixels."""
    ys, xs = np.nonzero(mask)
    solid = set(zip(ys.tolist(), xs.tolist(), strict=True))
    edges: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for y, x in solid:  # clockwise around each pixel, where no pixel of the mask is beyond
        for beyond, start, end in (
            ((y - 1, x), (x, y), (x + 1, y)),
            ((y, x + 1), (x + 1, y), (x + 1, y + 1)),
            ((y + 1, x), (x + 1, y + 1), (x, y + 1)),
            ((y, x - 1), (x, y + 1), (x, y)),
        ):
            if beyond not in solid:
                edges.setdefault(start, []).append(end)
    loops = []
    for start in sorted(edges):
        while edges.get(start):
            loops.append(_loop(start, edges))
    return "".join(loops)


def _loop(start: tuple[int, int], edges: dict) -> str:
    """One closed edge, used up while it is followed; steps in one direction are joined."""
    steps, place = [], start
    while True:
        end = edges[place].pop()
        step = (end[0] - place[0], end[1] - place[1])
        if steps and steps[-1][0] == step:
            steps[-1][1] += 1
        else:
            steps.append([step, 1])
        place = end
        if place == start:
            break
    text = "".join(f"h{dx * n}" if dx else f"v{dy * n}" for (dx, dy), n in steps)
    return f"M{start[0]} {start[1]}{text}z"
