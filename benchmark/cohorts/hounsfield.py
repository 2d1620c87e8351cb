"""Whether the numbers of an image are HU, judged by what every CT of a chest holds.

A file does not say so reliably. Stored values whose rescale slope and intercept were never applied
give plausible scores: air lies near 0 and soft tissue near 1064, all above any threshold for
calcium. What fills the corners outside the field of view (-2000, -3024, 62512) is no evidence, as
each program writes what it likes there.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmark.errors import UserError

PADDING = -1024
"""HU of air; scanners fill the corners outside the field of view with values below it."""

HIGHEST = 31743
"""Highest HU of any scanner's extended scale. Usual scales end at 3071; metal needs the rest."""

USUAL_HIGHEST = 3071
"""Highest HU that 12 bits hold; what fills a share of the volume's edges above it is no body."""

EDGE_SHARE = 0.05
"""Share of the volume's edges that one value above `USUAL_HIGHEST` takes if it is a fill."""

DENSE = 800
"""HU that bone and metal alone exceed in any number; soft tissue of stored values lies near 1064,
fat near 920, while blood with contrast agent stays below."""

DENSE_SHARE = 0.25
"""Share of all that is no lung or air: more cannot be bone."""

FAR_BELOW = -1200
"""HU below which no air lies, but padding and what an intercept gives that is applied twice."""

FAR_BELOW_SHARE = 0.2
"""Share of the volume in many values below `FAR_BELOW`."""


def check_hu(values: np.ndarray, where: str | Path) -> np.ndarray:
    """Return HU as int16, rounded, and clipped to `PADDING` below; see `read_hu`."""
    return read_hu(values, where)[0]


def read_hu(values: np.ndarray, where: str | Path) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return an image's numbers as HU, with what is unusual about them.

    Parameters
    ----------
    values : numpy.ndarray, three axes in any order
        HU, perhaps with padding.
    where : path or str
        What the message calls the image.

    Returns
    -------
    numpy.ndarray of int16
        Rounded, and clipped to `PADDING` below. A fill far above any body, which some programs
        put outside the field of view, is `PADDING` too.
    tuple of str
        Warnings.

    Raises
    ------
    UserError
        If values are not finite, or cannot be HU: padding aside, nothing is negative, or the span
        is under 200, or soft tissue is denser than bone, or much lies far below air, or anything
        lies above `HIGHEST`.
    """
    whole = np.issubdtype(values.dtype, np.integer)
    if not whole:
        if not np.isfinite(values).all():
            raise UserError(f"{where}: holds NaN or infinite voxels; fill them with {PADDING}")
        values = np.rint(values)
    values, warnings = _without_high_fill(values, where)
    low, high = float(values.min()), float(values.max())
    _refuse_stored(values, low, high, where)
    if low >= PADDING:
        return values.astype(np.int16), warnings
    return np.clip(values, PADDING, HIGHEST).astype(np.int16), warnings


def _without_high_fill(values: np.ndarray, where: str | Path) -> tuple[np.ndarray, tuple[str, ...]]:
    """Make air of one or two values far above any body that fill what was not scanned."""
    warnings: list[str] = []
    edges = _edges(values)
    air = PADDING if np.can_cast(np.int16, values.dtype) else 0
    for _ in range(3):
        high = values.max()
        share = np.count_nonzero(edges == high) / edges.size
        # Metal may reach the edge of a cropped scan, and may be cut off at the highest value.
        fill = share > EDGE_SHARE if high <= HIGHEST else share > 0
        if high <= USUAL_HIGHEST or not fill:
            break
        place = values == high
        warnings.append(
            f"{np.count_nonzero(place)} voxels of {float(high):g} outside the field of view are no "
            "HU and were taken as air"
        )
        # a type without negative numbers cannot hold HU, which is found out without its fill
        values = np.where(place, values.dtype.type(air), values)
        edges = _edges(values)
    if values.max() > HIGHEST:
        raise UserError(
            f"{where}: {np.count_nonzero(values > HIGHEST)} voxels lie above {HIGHEST} HU (up to "
            f"{float(values.max()):g}), which no CT has; give what was not scanned {PADDING}, or "
            "apply rescale slope and intercept"
        )
    return values, tuple(warnings)


def _refuse_stored(values: np.ndarray, low: float, high: float, where: str | Path) -> None:
    """Raise UserError if the numbers are stored values, normalised, or rescaled twice."""
    padded = low <= PADDING
    # Air, lung and fat are negative in HU; stored values before rescaling, or scaled ones, are not.
    negative = np.count_nonzero(values < 0) - (np.count_nonzero(values <= PADDING) if padded else 0)
    if negative <= 0 or high - max(low, PADDING) < 200:
        apart = " apart from padding" if low < 0 else ""
        low = float(values.min(where=values > PADDING, initial=high)) if padded else low
        raise UserError(
            f"{where}: values {low:g} to {high:g}{apart} are not HU; "
            "apply rescale slope and intercept, and do not normalise"
        )
    tissue, dense = np.count_nonzero(values >= -200), np.count_nonzero(values > DENSE)
    share = DENSE_SHARE
    if dense > DENSE_SHARE / 5 * tissue and _is_one_fill(values, negative):
        share = DENSE_SHARE / 5
    if dense > share * tissue:
        raise UserError(
            f"{where}: of what is no lung or air, {100 * dense / tissue:.0f} % lies above {DENSE}, "
            "as in no body: values are not HU; apply rescale slope and intercept"
        )
    if low < FAR_BELOW:
        below = np.maximum(values[values < FAR_BELOW].astype(np.float64), -(2.0**16)).astype(int)
        if below.size > FAR_BELOW_SHARE * values.size:
            counts = np.bincount(-below)
            varied = below.size - int(np.sort(counts)[-2:].sum())  # one or two values are padding
            if varied > FAR_BELOW_SHARE * values.size:
                raise UserError(
                    f"{where}: {100 * varied / values.size:.0f} % lies below {FAR_BELOW}, which is "
                    "far below air: values are not HU; was the rescale intercept applied twice?"
                )


def _is_one_fill(values: np.ndarray, negative: int) -> bool:
    """Whether all that is negative is one value that fills the volume's edges."""
    edges = _edges(values)
    edges = edges[(edges < 0) & (edges > PADDING)]
    return bool(edges.size) and np.count_nonzero(values == edges[0]) == negative


def _edges(values: np.ndarray) -> np.ndarray:
    """The twelve edges of the box that a volume is: outside any round field of view."""
    ends = (0, -1)
    return np.concatenate(
        [
            *(values[:, i, j] for i in ends for j in ends),
            *(values[i, :, j] for i in ends for j in ends),
            *(values[i, j, :] for i in ends for j in ends),
        ]
    )
