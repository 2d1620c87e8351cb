"""Make one scan of the phantom: version, seed and index give the same bits on every machine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmark.cohorts.base import Scan
from benchmark.cohorts.phantom.anatomy import Body, build_body, paint_body
from benchmark.cohorts.phantom.beads import Bead, add_bead
from benchmark.cohorts.phantom.burden import draw_burden
from benchmark.cohorts.phantom.confusers import plan_confusers
from benchmark.cohorts.phantom.difficulty import DEFAULT_DIFFICULTY, Difficulty
from benchmark.cohorts.phantom.noise import add_noise
from benchmark.cohorts.phantom.patient import CENTRES, SLICE, Patient, draw_patient
from benchmark.cohorts.phantom.plaque import Lesion, plan_lesions
from benchmark.cohorts.phantom.reference import BONE, reference_labels
from benchmark.cohorts.phantom.shapes import Grid
from benchmark.cohorts.phantom.stream import Stream
from benchmark.errors import UserError

#: Raised whenever any scan changes by one bit; part of the fingerprint.
VERSION = 2
#: Default form: pixels of about 1 mm, cropped to the heart.
PIXEL, PIXELS = 1.0, 160
#: Field of view of the full form: 512 pixels of 0.4 mm.
FIELD = 204.8

Spacing = float | tuple[float | None, float, float]


def scan_id(index: int) -> str:
    """Return the id of a patient: index 0 is ``phantom-0001``."""
    return f"phantom-{index + 1:04d}"


def scan_grid(patient: Patient, spacing: Spacing | None = None) -> Grid:
    """Return the grid a patient is scanned on.

    Parameters
    ----------
    patient : Patient
        Number of slices and field of view.
    spacing : float or (float or None, float, float), optional
        In-plane pixel in mm, or slice spacing (None: the centre's own) and both pixels. It is
        multiplied by the patient's field of view. Default: 160 x 160 pixels of 1.0 mm. Given
        0.4, the grid is 512 x 512; other pixels keep that field of 204.8 mm.

    Raises
    ------
    UserError
        If the spacing is not positive, or its two pixel sizes differ.
    """
    thickness, pixel, count = SLICE[patient.centre], PIXEL, PIXELS
    slices = patient.slices
    if spacing is not None:
        z, y, x = (None, spacing, spacing) if isinstance(spacing, int | float) else spacing
        if not (y == x and 0.2 <= x <= 4.0 and (z is None or 0.2 <= z <= 10.0)):
            raise UserError(
                f"phantom spacing {spacing}: give one in-plane pixel from 0.2 to 4 mm, such as 0.4"
            )
        pixel, count = float(x), round(FIELD / x)
        if z is not None:
            slices = round(slices * thickness / z)
            thickness = float(z)
    # Rounded to a micrometre, so that the printed spacing is the spacing
    pixel = round(pixel * patient.field_of_view, 3)
    return Grid.centred((slices, count, count), (thickness, pixel, pixel))


def _calcium(grid: Grid, beads: dict[int, list[Bead]], blur: float) -> dict[int, np.ndarray]:
    fields = {}
    for owner, members in beads.items():
        if members:
            fields[owner] = np.zeros(grid.shape, np.float32)
            for bead in members:
                add_bead(fields[owner], grid, bead, blur)
    return fields


@dataclass(frozen=True)
class Plan:
    """Calcium of one patient before it is sampled.

    Attributes
    ----------
    burden : float
        Agatston score aimed at.
    lesions : tuple of Lesion
        Coronary lesions.
    confusers : dict of str to list of Bead
        Calcium that is not coronary, by kind.
    """

    burden: float
    lesions: tuple[Lesion, ...]
    confusers: dict[str, list[Bead]]

    def by_owner(self) -> dict[int, list[Bead]]:
        """Return all beads by owner: 1 LAD, 2 LCX, 3 RCA, 0 not coronary."""
        owners: dict[int, list[Bead]] = {owner: [] for owner in range(4)}
        for lesion in self.lesions:
            owners[lesion.label].extend(lesion.beads)
        for beads in self.confusers.values():
            owners[0].extend(beads)
        return owners


def plan_calcium(body: Body, seed: int, index: int, difficulty: Difficulty) -> Plan:
    """Return the calcium of one patient."""
    draw = Stream(seed, index, "lesions")
    burden = draw_burden(draw)
    lesions = plan_lesions(body.patient, body.arteries, burden, draw, difficulty)
    confusers = plan_confusers(body, lesions, burden, Stream(seed, index, "confusers"), difficulty)
    return Plan(burden, tuple(lesions), confusers)


def make_scan(
    index: int,
    seed: int = 0,
    spacing: Spacing | None = None,
    difficulty: Difficulty = DEFAULT_DIFFICULTY,
) -> Scan:
    """Make the scan and reference labels of one virtual patient.

    Parameters
    ----------
    index : int
        Patient, from 0.
    seed : int
        Another seed is another cohort.
    spacing : float or tuple, optional
        See `scan_grid`.
    difficulty : Difficulty
        What makes the task hard.

    Returns
    -------
    Scan
        Voxels int16 HU and labels uint8, axes (z, y, x).

    Raises
    ------
    UserError
        If index or seed is negative, or the spacing is out of range.
    """
    if index < 0 or seed < 0:
        raise UserError(f"phantom: index {index} and seed {seed} must be 0 or more")
    patient = draw_patient(seed, index, difficulty)
    grid = scan_grid(patient, spacing)
    body = build_body(seed, index, patient, difficulty)
    volume = paint_body(body, grid, seed, index)
    bone = volume > BONE
    plan = plan_calcium(body, seed, index, difficulty)
    calcium = _calcium(grid, plan.by_owner(), patient.blur)
    for field in calcium.values():
        volume += field
    # Thin slices hold fewer photons, thick ones more.
    sd = patient.noise * round((SLICE[patient.centre] / grid.spacing[0]) ** 0.5, 6)
    add_noise(volume, grid.spacing[2], sd, patient.kernel, seed, index)
    volume += patient.offset
    np.rint(volume, out=volume)
    np.maximum(volume, -1024.0, out=volume)
    np.minimum(volume, 3071.0, out=volume)
    voxels = volume.astype(np.int16)
    labels = reference_labels(voxels, calcium, bone)
    return Scan(scan_id(index), CENTRES[patient.centre], voxels, grid.spacing, labels)
