"""A scan in three planes through its heart, with the box round it."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import quote

import numpy as np

from benchmark.cohorts.base import Cohort, Scan
from benchmark.errors import UserError
from benchmark.figures.style import DOUBLE_COLUMN, new_figure, styled
from benchmark.heart.finder import Heart, find_heart

WINDOW_HU = (-250.0, 250.0)
DPI = 110
PLANES = (("axial", 1, 2, 0), ("coronal", 0, 2, 1), ("sagittal", 0, 1, 2))
"""Name, axis down, axis across, axis that is cut."""


def draw_heart(scan: Scan, heart: Heart) -> bytes:
    """A scan with its heart as PNG; the same heart gives the same bytes."""
    with styled():
        figure = new_figure(DOUBLE_COLUMN, 2.7)
        for axes, (plane, down, across, cut) in zip(figure.subplots(1, 3), PLANES, strict=True):
            level = round(heart.centre[cut] / scan.spacing[cut])
            image = np.take(scan.voxels, level, cut)
            high, wide = np.array(image.shape) * [scan.spacing[down], scan.spacing[across]]
            axes.imshow(
                image,
                cmap="gray",
                vmin=WINDOW_HU[0],
                vmax=WINDOW_HU[1],
                extent=(0, wide, high, 0),
                interpolation="bilinear",
            )
            (top, left), (bottom, right) = ((c[down], c[across]) for c in heart.box)
            line = "-" if heart.found else ":"
            axes.plot(
                [left, right, right, left, left],
                [top, top, bottom, bottom, top],
                color="#e69f00",
                linewidth=1,
                linestyle=line,
            )
            axes.plot(heart.centre[across], heart.centre[down], "+", color="#e69f00", markersize=7)
            if down == 0:
                axes.invert_yaxis()  # the head is up
            axes.set_title(f"{plane}, slice {level + 1}")
            axes.axis("off")
        word = "heart" if heart.found else "no heart found, best place"
        figure.suptitle(
            f"{scan.id}: {word}, confidence {heart.confidence:.2f}", x=0.01, ha="left", fontsize=8
        )
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()


def write_pictures(
    cohort: Cohort,
    ids: Sequence[str],
    folder: Path,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Heart]:
    """Find the heart of each scan and write ``FOLDER/ID.png``.

    Raises
    ------
    UserError
        If a scan cannot be read or the folder not be written.
    """
    found = {}
    for done, id in enumerate(ids, start=1):
        scan = cohort.load(id)
        found[id] = find_heart(scan.voxels, scan.spacing)
        picture = draw_heart(scan, found[id])
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{_file_name(id)}.png").write_bytes(picture)
        except OSError as error:
            raise UserError(f"{folder}: cannot be written ({error.strerror})") from error
        if progress is not None:
            progress(done, len(ids))
    return found


def _file_name(id: str) -> str:
    """An id as a file's name: it may hold a slash or begin with a dot."""
    return re.sub(r"^\.", "%2E", quote(id, safe=" ()+,=@"))
