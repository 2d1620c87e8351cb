"""Scanners: how a person is scanned, on which grid, with which blur, noise and streaks."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from benchmark.errors import UserError
from benchmark.phantom.noise import add_noise
from benchmark.phantom.shapes import Grid, Vector
from benchmark.phantom.stream import Stream, raw_bytes

#: Nominal in-plane pixel of the default form, mm of a field of 204.8 mm: 176 x 176 pixels.
PIXEL = 1.164
#: Field of view that a nominal pixel refers to: 512 pixels of 0.4 mm.
FIELD = 204.8
#: Most pixels a side at the default form of chest CTs.
WIDEST = 320

Spacing = float | tuple[float | None, float, float]


@dataclass(frozen=True)
class Scanner:
    """How one person was scanned; lengths in mm, intensities in HU.

    Attributes
    ----------
    centre : str
        Name of the centre.
    gated : bool
        Whether the scan waited for the heart's rest.
    thickness : float
        Thickness and spacing of slices.
    slices : int
        Number of slices.
    field : float
        Field of view in the plane, a square.
    shift : tuple of float
        Where the middle of the field lies, (x, y, z) as parts of the room there is round the
        heart, each from -1 to 1.
    blur : float
        In-plane point spread, SD.
    sharpen : float
        Overshoot at edges of a sharp kernel, 0 for none.
    noise : float
        Noise SD of a slice of 3 mm.
    kernel : float
        SD of the noise's in-plane correlation kernel.
    across : float
        Correlation of noise from slice to slice.
    streaks : float
        SD of horizontal streaks.
    contrast : float
        Factor on the excess of calcium over soft tissue, by tube voltage: 1 at 120 kVp.
    offset : float
        HU added to the whole scan: no scanner is calibrated exactly like another.
    edge : float
        Further width of the edges of heart and vessels by motion.
    motion : tuple of float
        Probability that RCA, LCX and LAD move, and the longest path of it, mm.
    arms_down : bool
        Whether the arms lie beside the chest.
    """

    centre: str
    gated: bool
    thickness: float
    slices: int
    field: float
    shift: Vector
    blur: float
    sharpen: float
    noise: float
    kernel: float
    across: float
    streaks: float
    contrast: float
    offset: float
    edge: float
    motion: tuple[float, float, float, float]
    arms_down: bool


CENTRES = ("centre-1", "centre-2")
#: Slice spacing of either gated centre, mm (the paper's section 4.1).
GATED_SLICE = (2.5, 3.0)
#: Share of patients from the first centre; the paper does not print it.
FIRST_CENTRE_SHARE = 0.6
#: Share of other scans that were taken of the heart; the rest are chest CTs.
HEART_ONLY_SHARE = 0.3


def centre_of(draw: Stream, protocol: str) -> str:
    """Return where a person was scanned: the first draw of their stream ``"scanner"``."""
    if protocol == "gated":
        return CENTRES[not draw.chance(FIRST_CENTRE_SHARE)]
    return "heart" if draw.chance(HEART_ONLY_SHARE) else "chest"


def gated_scanner(draw: Stream, girth: float) -> Scanner:
    """Draw a gated calcium scan of one of the paper's two centres.

    Fields, ranges and noise are those measured in real gated scans: 164 to 243 mm in the plane,
    138 or 171 mm of slices with the heart anywhere in them, noise of 12 to 21 HU that reaches
    three pixels of 0.38 mm and .19 of which the next slice shares.
    """
    second = centre_of(draw, "gated") == CENTRES[1]
    thickness = GATED_SLICE[second]
    length = 138.0 if draw.chance(0.5) else 171.0
    noise = draw.lognormal(14.0, 0.24, 2.5) * (1.0 + 1.2 * (girth - 1.0))
    noise *= (1.04, 0.98)[second]
    return Scanner(
        centre=CENTRES[second],
        gated=True,
        thickness=thickness,
        slices=round(length / thickness),
        field=round(min(243.0, max(164.0, draw.lognormal(188.0, 0.13, 2.0))), 1),
        shift=(draw.uniform(-1.0, 1.0), draw.uniform(-1.0, 1.0), draw.uniform(-1.0, 1.0)),
        blur=draw.uniform(*((0.60, 0.82), (0.56, 0.74))[second]),
        sharpen=0.0,
        noise=round(min(max(noise, 10.0), 26.0), 6),
        kernel=draw.uniform(0.38, 0.48),
        across=0.19,
        streaks=draw.lognormal(2.5, 0.6, 2.0) * girth * girth,
        contrast=1.0,
        offset=draw.normal((0.0, 3.0)[second], 2.0),
        edge=draw.uniform(0.0, 1.0),
        motion=(0.40, 0.20, 0.08, 6.0),
        arms_down=False,
    )


#: Slice thickness of chest CTs, mm, and how often.
WIDE_SLICES = (
    (1.0, 0.10),
    (1.25, 0.10),
    (1.5, 0.08),
    (2.0, 0.16),
    (2.5, 0.16),
    (3.0, 0.18),
    (4.0, 0.06),
    (5.0, 0.16),
)
#: Most slices: thin ones are taken of the heart's part of the chest alone.
MOST_SLICES = 120
#: Tube voltages, kVp: factor on the excess of calcium, and how often.
VOLTAGES = ((1.22, 0.2), (1.08, 0.1), (1.0, 0.6), (0.88, 0.1))


def wide_scanner(draw: Stream, girth: float) -> Scanner:
    """Draw a chest CT, or a scan of the heart on a scanner of another kind.

    Slices of 1 to 5 mm, fields of 180 to 500 mm with the heart off centre, soft to sharp kernels,
    100 to 140 kVp, low dose to full dose, no gate: all arteries may move. The ranges are ours.
    """
    centre = centre_of(draw, "wide")
    heart_only = centre == "heart"
    thickness = WIDE_SLICES[draw.choice([share for _, share in WIDE_SLICES])][0]
    field = draw.uniform(180.0, 260.0) if heart_only else draw.uniform(260.0, 500.0)
    length = draw.uniform(140.0, 200.0) if heart_only else draw.uniform(180.0, 320.0)
    slices = min(round(length / thickness), MOST_SLICES)
    slices = max(slices, round(135.0 / thickness))
    sharp = draw.uniform()  # 0 a soft kernel, 1 a sharp one
    # Noise of a slice of 3 mm; sharp kernels are noisier.
    noise = draw.lognormal(13.0, 0.45, 2.0) * (0.75 + 0.9 * sharp * sharp)
    noise *= 1.0 + 1.5 * (girth - 1.0)
    contrast = VOLTAGES[draw.choice([share for _, share in VOLTAGES])][0]
    still = draw.chance(0.25)
    return Scanner(
        centre=centre,
        gated=False,
        thickness=thickness,
        slices=slices,
        field=round(field, 1),
        shift=(draw.uniform(-1.0, 1.0), draw.uniform(-1.0, 1.0), draw.uniform(-1.0, 1.0)),
        blur=round(0.95 - 0.5 * sharp + draw.uniform(-0.08, 0.08), 6),
        sharpen=round(max(0.0, 1.6 * (sharp - 0.55)), 6),
        noise=round(min(max(noise, 6.0), 45.0), 6),
        kernel=round(0.62 - 0.3 * sharp + draw.uniform(-0.05, 0.05), 6),
        across=draw.uniform(0.0, 0.3),
        streaks=draw.lognormal(3.0, 0.7, 2.0) * girth * girth,
        contrast=contrast,
        offset=draw.normal(0.0, 4.0, 2.5),
        edge=draw.uniform(0.0, 1.0) if still else draw.uniform(0.5, 4.0),
        motion=(0.1, 0.05, 0.0, 4.0) if still else (0.75, 0.65, 0.45, 8.0),
        arms_down=draw.chance(0.12),
    )


SCANNERS = {"gated": gated_scanner, "wide": wide_scanner}


def scan_form(
    scanner: Scanner, spacing: Spacing | None = None
) -> tuple[tuple[int, int, int], tuple[float, float, float]]:
    """Return shape (Z, Y, X) and spacing (z, y, x; mm) of a scan.

    Parameters
    ----------
    scanner : Scanner
        Slices and field of view.
    spacing : float or (float or None, float, float), optional
        Nominal in-plane pixel in mm, or slice spacing (None: the scanner's own) and both pixels.
        A nominal pixel is that of a field of 204.8 mm: 0.4 makes 512 x 512 pixels of whatever
        field the scan has. The default makes 176 x 176; of fields above 204.8 mm up to 320 x 320.

    Raises
    ------
    UserError
        If the spacing is not positive, or its two pixel sizes differ.
    """
    thickness, slices = scanner.thickness, scanner.slices
    if spacing is None:
        count = round(FIELD / PIXEL)
        if not scanner.gated:
            count = min(WIDEST, max(count, 8 * round(scanner.field / PIXEL / 8.0)))
    else:
        z, y, x = (None, spacing, spacing) if isinstance(spacing, int | float) else spacing
        if not (y == x and 0.2 <= x <= 4.0 and (z is None or 0.2 <= z <= 10.0)):
            raise UserError(
                f"phantom spacing {spacing}: give one in-plane pixel from 0.2 to 4 mm, such as 0.4"
            )
        count = round(FIELD / x)
        if z is not None:
            slices = round(slices * thickness / z)
            thickness = float(z)
    # Rounded to a micrometre, so that the printed spacing is the spacing
    pixel = round(scanner.field / count, 3)
    return (slices, count, count), (thickness, pixel, pixel)


def add_scanner(volume: np.ndarray, grid: Grid, scanner: Scanner, seed: int, index: int) -> None:
    """Add noise, streaks, overshoot and offset to `volume` (Z, Y, X, HU, changed in place)."""
    if scanner.sharpen > 0:
        _sharpen(volume, scanner.sharpen)
    # Thin slices hold fewer photons, thick ones more.
    sd = scanner.noise * round((3.0 / grid.spacing[0]) ** 0.5, 6)
    add_noise(volume, grid.spacing[2], sd, scanner.kernel, seed, index, scanner.across)
    if scanner.streaks > 0:
        _add_streaks(volume, grid, scanner.streaks, seed, index)
    volume += np.float32(scanner.offset)


def _sharpen(volume: np.ndarray, amount: float) -> None:
    """Add the difference to the mean of the four neighbours in the plane."""
    middle = volume[:, 1:-1, 1:-1]
    around = volume[:, :-2, 1:-1] + volume[:, 2:, 1:-1]
    around += volume[:, 1:-1, :-2]
    around += volume[:, 1:-1, 2:]
    around *= -0.25
    around += middle
    around *= np.float32(amount)
    middle += around


def _add_streaks(volume: np.ndarray, grid: Grid, sd: float, seed: int, index: int) -> None:
    """Add horizontal streaks: each row of a slice rises or falls on the left and on the right.

    Streaks pass through shoulders and spine, so they are stronger towards the head and the back.
    """
    depth, height, width = volume.shape
    count = depth * (height + 2) * 2
    raw = raw_bytes(seed, index, "noise", count).astype(np.float32).reshape(2, depth, height + 2)
    raw -= 127.5
    rows = raw[:, :, 1:-1] * 2.0
    rows += raw[:, :, :-2]
    rows += raw[:, :, 2:]
    rows *= sd / (73.9 * math.sqrt(6.0))
    z, y = grid.z[:, :, 0], grid.y[:, :, 0]
    strength = np.minimum(np.maximum((z + 40.0) / 80.0, 0.4), 1.6)
    strength = strength * np.minimum(np.maximum((y + 100.0) / 120.0, 0.4), 1.6)
    rows *= strength
    share = (np.arange(width) / max(1, width - 1)).astype(np.float32)
    volume += rows[0][:, :, None] * share
    volume += rows[1][:, :, None] * (np.float32(1.0) - share)
