"""Draw one person's scan: version, seed and index give the same bits on every machine."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from benchmark.phantom.beads import Bead, add_bead
from benchmark.phantom.body import Body
from benchmark.phantom.calcium import Lesion, draw_motion, moved_beads, plan_lesions
from benchmark.phantom.confusers import plan_confusers
from benchmark.phantom.heart import Heart, build_heart, paint_heart
from benchmark.phantom.patient import Patient
from benchmark.phantom.reader import BONE, read
from benchmark.phantom.scanner import Scanner, Spacing, add_scanner, scan_form
from benchmark.phantom.shapes import Grid, Vector
from benchmark.phantom.tree import Tree, build_tree, paint_tree

#: Raised whenever any scan changes by one bit; part of the fingerprint.
VERSION = 3
#: Least distance of any coronary artery from the border of the scan, mm.
CLEARANCE = 6.0


@dataclass(frozen=True)
class Plan:
    """A person's anatomy and calcium before they are sampled.

    Attributes
    ----------
    patient : Patient
    scanner : Scanner
        The patient's, with a field that holds the heart.
    heart : Heart
    body : Body
    tree : Tree
    lesions : tuple of Lesion
        Coronary calcium.
    confusers : dict of str to list of Bead
        Calcium that is not coronary, by kind.
    centre : Vector
        Middle of the scan in the body frame (x, y, z), mm.
    """

    patient: Patient
    scanner: Scanner
    heart: Heart
    body: Body
    tree: Tree
    lesions: tuple[Lesion, ...]
    confusers: dict[str, list[Bead]]
    centre: Vector

    @property
    def heart_centre(self) -> Vector:
        """Return the middle of the heart (x, y, z) from the middle of the scan, mm.

        It is the chambers' centre of volume.
        """
        return tuple(a - c for a, c in zip(self.heart.middle, self.centre, strict=True))  # type: ignore[return-value]

    def beads(self) -> dict[int, list[Bead]]:
        """Return all calcium as the scan shows it, by owner: 1 LAD, 2 LCX, 3 RCA, 0 others."""
        motion = draw_motion(self.patient)
        contrast = self.scanner.contrast
        found: dict[int, list[Bead]] = {owner: [] for owner in range(4)}
        for lesion in self.lesions:
            found[lesion.label] += moved_beads(lesion.beads, motion.get(lesion.label), contrast)
        for beads in self.confusers.values():
            found[0] += moved_beads(beads, None, contrast)
        return found


@dataclass(frozen=True)
class Drawing:
    """A finished scan.

    Attributes
    ----------
    voxels : ndarray of int16, shape (Z, Y, X)
        HU; axes run to the head, to the back and to the left.
    spacing : tuple of float
        (z, y, x), mm.
    labels, owners : ndarray of uint8, shape (Z, Y, X)
        Readers' labels, and the truth: 0 background, 1 LAD, 2 LCX, 3 RCA.
    heart : Vector
        Middle of the heart (x, y, z) from the middle of the scan, mm.
    """

    voxels: np.ndarray
    spacing: tuple[float, float, float]
    labels: np.ndarray
    owners: np.ndarray
    heart: Vector


def plan(patient: Patient) -> Plan:
    """Return a person's anatomy, calcium and the place of the scan, without drawing them."""
    heart = build_heart(patient)
    body = Body(patient, heart)
    tree = build_tree(heart, patient)
    lesions = plan_lesions(patient, tree)
    confusers = plan_confusers(patient, body, tree, lesions)
    scanner, centre = _place(patient, body, tree)
    return Plan(patient, scanner, heart, body, tree, tuple(lesions), confusers, centre)


def _place(patient: Patient, body: Body, tree: Tree) -> tuple[Scanner, Vector]:
    """Return the scanner with its field, and the middle of the scan: it holds all arteries.

    Within the room that leaves, the heart lies anywhere. Chest CTs are centred on the body.
    """
    scanner = patient.scanner
    points = [point for artery in tree.arteries.values() for point in artery.points]
    low = [min(point[k] for point in points) - CLEARANCE for k in range(3)]
    high = [max(point[k] for point in points) + CLEARANCE for k in range(3)]
    widest = max(high[0] - low[0], high[1] - low[1])
    field = round(max(scanner.field, widest), 1)
    sides = (field, field, scanner.slices * scanner.thickness)
    chest = scanner.field > 260.0
    middles = (body.middle, body.centre_y + 8.0)
    centre = []
    for k in range(3):
        least, most = high[k] - 0.5 * sides[k], low[k] + 0.5 * sides[k]
        middle, room = 0.5 * (least + most), max(0.0, 0.5 * (most - least))
        if chest and k < 2:
            wanted = middles[k] + 25.0 * scanner.shift[k]
        else:
            wanted = middle + (0.75 if k < 2 else 1.0) * room * scanner.shift[k]
        centre.append(round(min(max(wanted, middle - room), middle + room), 3))
    return replace(scanner, field=field), (centre[0], centre[1], centre[2])


def paint_body(plan: Plan, grid: Grid) -> np.ndarray:
    """Return the tissues of a person without calcium and noise, float32 HU, shape (Z, Y, X)."""
    body, patient = plan.body, plan.patient
    volume = body.base(grid)
    body.lung_vessels(volume, grid)
    body.abdomen(volume, grid)
    body.vessels(volume, grid)
    paint_heart(volume, grid, patient, plan.heart)
    body.great_vessels(volume, grid)
    paint_tree(volume, grid, plan.tree, patient)
    body.bones(volume, grid)
    return volume


def draw(patient: Patient, spacing: Spacing | None = None) -> Drawing:
    """Draw the scan of one person with its reference labels.

    Parameters
    ----------
    patient : Patient
        Who is scanned, and how: ``Patient.of(0)`` or ``Patient.of(0, protocol="wide")``.
    spacing : float or tuple, optional
        In-plane pixel in mm, see `scanner.scan_form`.

    Returns
    -------
    Drawing

    Raises
    ------
    UserError
        If the spacing is out of range.
    """
    drawn = plan(patient)
    shape, steps = scan_form(drawn.scanner, spacing)
    grid = Grid.centred(shape, steps, drawn.centre)
    volume = paint_body(drawn, grid)
    bone = volume > BONE
    calcium = {}
    for owner, beads in drawn.beads().items():
        if beads:
            calcium[owner] = np.zeros(grid.shape, np.float32)
            for bead in beads:
                add_bead(calcium[owner], grid, bead, drawn.scanner.blur)
            volume += calcium[owner]
    add_scanner(volume, grid, drawn.scanner, patient.seed, patient.index)
    np.rint(volume, out=volume)
    np.maximum(volume, -1024.0, out=volume)
    np.minimum(volume, 3071.0, out=volume)
    voxels = volume.astype(np.int16)
    labels, owners = read(voxels, calcium, bone, grid, drawn.tree, patient.stream("reader"))
    return Drawing(voxels, steps, labels, owners, drawn.heart_centre)
