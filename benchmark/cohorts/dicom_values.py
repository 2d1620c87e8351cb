"""Whether the values of a series are HU: what its headers say, and what its pixels do."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from benchmark.cohorts.dicom_header import SliceHeader
from benchmark.cohorts.dicom_pixels import HIGHEST, LOWEST, MOST_HU, Slice
from benchmark.errors import UserError

MOST_ABOVE = 0.01
"""Share of values above `HIGHEST` beyond which they are no HU; metal has less."""

MOST_BELOW = 0.2
"""Share of values below `LOWEST` beyond which they are no HU."""

LEAST_TISSUE = 0.01
"""Share of tissue in any scan of a body."""

MIDDLE = 300.0
"""HU: half of a scan of the chest lies below it, however it is cropped."""

CROPPED = -200
"""HU: a scan whose lowest value lies above shows neither lung nor air."""

LUNG_SHARE = 0.02
"""Share of lung and air that shows beyond doubt that values are HU though no header says so."""

LUNG_VALUES = 50
"""How many different HU lung and air have at least; a fill has one."""


def check_rescale(headers: list[SliceHeader]) -> None:
    """Refuse slices whose headers say that their values do not become HU.

    Raises
    ------
    UserError
        If only one of slope and intercept is there, both are in some slices alone, a table takes
        their place, or the unit is another.
    """
    if any(header.table for header in headers):
        raise UserError(
            "its values become HU by a table (ModalityLUTSequence), which is not read; "
            "export it with RescaleSlope and RescaleIntercept"
        )
    without = [h for h in headers if h.slope is None or h.intercept is None]
    if any(h.slope is not None or h.intercept is not None for h in without):
        raise UserError(
            "a slice has one of RescaleSlope and RescaleIntercept without the other; "
            "export the series again"
        )
    if without and len(without) < len(headers):
        raise UserError(
            f"{len(without)} of {len(headers)} slices lack RescaleSlope and RescaleIntercept; "
            "export the series again"
        )
    units = {header.unit for header in headers}
    if units - {"", "HU", "US", "HU_MOD"}:
        raise UserError("RescaleType says that its values are no HU; export a series in HU")


def check_values(headers: list[SliceHeader], slices: list[Slice]) -> None:
    """Refuse slices whose pixels show that they are no HU, whatever the headers say.

    Padding and what fills a gap take no part. Slices with a rescale of their own are judged by
    themselves.

    Raises
    ------
    UserError
        If there is nothing negative, half of the values are dense, or too many lie beyond what
        a CT holds.
    """
    if headers[0].slope is None:
        lung = sum(part.lung for part in slices)
        spread = int(lung.sum() - lung.max())
        share = spread / max(sum(part.count for part in slices), 1)
        if share < LUNG_SHARE or np.count_nonzero(lung) < LUNG_VALUES:
            raise UserError(
                "RescaleSlope and RescaleIntercept are missing, and nothing shows that the "
                "stored values are HU; export the series again"
            )
    groups = defaultdict(list)
    for header, part in zip(headers, slices, strict=True):
        groups[header.slope, header.intercept].append(part)
    for parts in groups.values():
        count = sum(part.count for part in parts)
        if not count:
            continue
        low, high = min(p.low for p in parts), max(p.high for p in parts)
        middle = float(np.nanmedian([p.middle for p in parts]))
        which = "" if len(groups) == 1 else f" of {len(parts)} slices with a rescale of their own"
        if low >= 0 or middle > MIDDLE:
            half = f", half of them above {middle:g}" if low < 0 else ""
            raise UserError(
                f"values {low if np.isfinite(low) else high:g} to {high:g}{half}{which} are not "
                "HU; apply rescale slope and intercept"
            )
        if sum(part.tissue for part in parts) < LEAST_TISSUE * count:
            raise UserError(
                f"values up to {high:g}{which} are not HU: not even fat is as dense as it should "
                "be; is RescaleIntercept wrong?"
            )
        for share, most, what in (
            (sum(p.above for p in parts) / count, MOST_ABOVE, f"above {HIGHEST}"),
            (sum(p.below for p in parts) / count, MOST_BELOW, f"below {LOWEST}"),
        ):
            if share > most:
                raise UserError(
                    f"{share:.0%} of the values{which} lie {what} HU and are not HU of a body; "
                    "is RescaleIntercept wrong, or padding not declared?"
                )
    cut = sum(part.cut for part in slices)
    if cut:
        raise UserError(
            f"{cut} values lie above {MOST_HU} HU (up to {max(p.high for p in slices):g}), "
            "which no CT has; is rescale wrong, or padding not declared?"
        )
    if any(part.bare for part in slices) and any(part.extended for part in slices):
        raise UserError(
            "negative values fill the unused bits (BitsStored) in some slices and not in others; "
            "export the series again"
        )


def value_notes(headers: list[SliceHeader], slices: list[Slice], lowest: int) -> Iterator[str]:
    """Say what is unusual about values that `check_values` let pass; `lowest` is that of the
    volume with all that was filled, HU.
    """
    if headers[0].slope is None:
        yield (
            "RescaleSlope and RescaleIntercept are missing; stored values were taken as HU, as "
            "lung and air have theirs"
        )
    if any(header.unit == "HU_MOD" for header in headers):
        yield "RescaleType says HU_MOD: values were computed from two energies and are no plain HU"
    corners = sum(part.corners for part in slices)
    if corners:
        yield (
            f"{corners} pixels in the corners hold one value above {HIGHEST} HU that no header "
            "declares as padding; they were taken as air"
        )
    if any(part.lossy for part in slices) or any(header.lossy for header in headers):
        yield "the images were compressed with loss; scores from them may be off"
    if min(part.low for part in slices) > CROPPED >= lowest:  # padding hides it from `judge`
        yield "neither lung nor air in view beside what is filled; is it cropped?"
