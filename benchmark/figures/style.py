"""One style for all figures: sizes, colours, and how a figure is written to disk.

Figures are drawn at the size at which they are printed, one or two columns wide, so that the
font sizes here are those on paper. Colours differ in lightness as well as in hue, and no
difference is told by colour alone: markers, lines and hatches say the same.
"""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INCH_MM = 25.4
SINGLE_COLUMN = 85 / INCH_MM
"""Width of a figure in one column of a page, inches."""
DOUBLE_COLUMN = 175 / INCH_MM
"""Width of a figure over two columns, inches."""
MIN_FONT = 7.0
"""Smallest font, points at printed size."""
DPI = 300
"""Of the PNG and of images inside the vector file."""

INK = "#1A1A1A"
QUIET = "#6E6E6E"
"""For lines and words that must not compete with the data."""
PALE = "#D9D9D9"

ARTERY_COLOURS = {"LAD": "#E8601C", "LCX": "#1F5FA8", "RCA": "#90D69B", "whole": INK}
"""Red, blue and green as in the paper, with CIE lightness 58, 40, 80 and 9: told apart in
greyscale and with the common colour-vision deficiencies."""
ARTERY_MARKERS = {"LAD": "o", "LCX": "s", "RCA": "^", "whole": "D"}
ARTERY_LINES = {"LAD": "--", "LCX": "-.", "RCA": ":", "whole": "-"}
ARTERY_HATCHES = {"LAD": "///", "LCX": "...", "RCA": "xx", "whole": ""}

MASK, HEAD = "#1F5FA8", "#E8601C"
"""Scores from the mask and from the score head."""
SERIES = ((MASK, "o", "-"), (HEAD, "s", "--"), ("#90D69B", "^", ":"), (INK, "D", "-."))
"""Colour, marker and line of the first to the fourth series of a panel."""
SEQUENTIAL = "Blues"
"""Colour map of amounts: white is least, dark blue most, as in the paper's figure 9."""

_RC = {
    "font.family": "DejaVu Sans",
    "font.size": MIN_FONT,
    "axes.titlesize": 8.0,
    "axes.labelsize": MIN_FONT,
    "xtick.labelsize": MIN_FONT,
    "ytick.labelsize": MIN_FONT,
    "legend.fontsize": MIN_FONT,
    "figure.titlesize": 8.0,
    "axes.titlelocation": "left",
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.minor.size": 1.5,
    "ytick.minor.size": 1.5,
    "lines.linewidth": 1.0,
    "lines.markersize": 3.5,
    "patch.linewidth": 0.6,
    "hatch.linewidth": 0.5,
    "grid.color": PALE,
    "grid.linewidth": 0.4,
    "legend.frameon": False,
    "legend.handlelength": 2.2,
    "legend.borderaxespad": 0.2,
    "figure.dpi": DPI,
    "savefig.dpi": DPI,
    "image.interpolation": "nearest",
    "pdf.fonttype": 42,  # letters stay letters, which editors can change
    "text.parse_math": False,  # a dollar sign in a name begins no formula
}


@contextmanager
def styled() -> Iterator[None]:
    """Draw within this style; matplotlib's own settings are restored afterwards."""
    import matplotlib

    with matplotlib.rc_context(_RC):
        yield


def new_figure(width: float = DOUBLE_COLUMN, height: float = 2.5) -> Figure:
    """An empty figure on the Agg canvas, known to nobody else; inches.

    The layout is constrained: labels and titles never leave the figure.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(
    figure: Figure,
    folder: Path,
    name: str,
    table: Sequence[Mapping] | Mapping[str, Sequence[Mapping]],
    caption: str = "",
) -> list[Path]:
    """Write a figure as PDF and PNG with the numbers behind it as CSV.

    The same figure gives the same bytes: no dates are written.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    folder : Path
        Is made if it is not there.
    name : str
        Of the files, without ending.
    table : list of dict, or dict of lists of dict
        Every number behind the figure, one dict a row, all with the same keys; the keys are the
        header, with units ("bias [mm3]"). Several tables are written to ``<name>-<key>.csv``.
    caption : str
        What a reader must be told beside the figure; written to ``<name>.txt``.

    Returns
    -------
    list of Path
        Files written, the pictures first. Either all of them are written or none.
    """
    folder = Path(folder)
    contents = {}
    with styled():
        # One layout serves both pictures; without this each would compute it anew.
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        for ending, metadata in (("pdf", {"CreationDate": None}), ("png", {"Software": None})):
            buffer = io.BytesIO()
            figure.savefig(buffer, format=ending, metadata=metadata)
            contents[folder / f"{name}.{ending}"] = buffer.getvalue()
    tables = table if isinstance(table, Mapping) else {"": table}
    for part, rows in tables.items():
        path = folder / (f"{name}-{part}.csv" if part else f"{name}.csv")
        contents[path] = as_csv(rows).encode()
    if caption:
        contents[folder / f"{name}.txt"] = (caption.rstrip() + "\n").encode()
    write_all(contents)
    return list(contents)


def as_csv(rows: Sequence[Mapping]) -> str:
    """Rows as CSV text; undefined numbers are empty, others are written to the last digit.

    Raises
    ------
    ValueError
        If there is no row, or rows have unlike keys.
    """
    if not rows:
        raise ValueError("a figure's table has no rows")
    header = list(rows[0])
    if any(list(row) != header for row in rows):
        raise ValueError("the rows of a figure's table must all have the same columns")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_plain(row[column]) for column in header] for row in rows)
    return text.getvalue()


def _plain(value):
    """What CSV holds of a value: NumPy's numbers as Python's, NaN as nothing."""
    value = value.item() if hasattr(value, "item") else value
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return repr(value) if isinstance(value, float) else value


def write_all(contents: Mapping[Path, bytes]) -> None:
    """Write several files whole or not at all: none takes its name before all are written."""
    drafts = {}
    try:
        for path, data in contents.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            drafts[path] = path.with_name(f".{path.name}.{os.getpid()}")
            drafts[path].write_bytes(data)
        for path, draft in drafts.items():
            os.replace(draft, path)
    except BaseException:
        for draft in drafts.values():
            draft.unlink(missing_ok=True)
        raise


def ink_on(colour: Sequence[float]) -> str:
    """The ink, or white, for letters on a coloured ground: whichever contrasts more (WCAG 2)."""
    from matplotlib.colors import to_rgb

    def luminance(shade) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in shade[:3]]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    ground, ink = luminance(colour), luminance(to_rgb(INK))
    return "white" if 1.05 / (ground + 0.05) > (ground + 0.05) / (ink + 0.05) else INK


def number(value: float) -> str:
    """A number with three significant digits, a true minus sign and no exponent below 1e6."""
    if not math.isfinite(value):
        return "undefined" if math.isnan(value) else ("∞" if value > 0 else "−∞")
    size = abs(value)
    if size >= 1e6:
        text = f"{value:.2g}"
    elif size >= 100:
        text = f"{value:.0f}"
    else:
        text = f"{value:.{1 if size >= 10 else 2}f}"
    return ("0" if float(text) == 0 else text).replace("-", "−")
