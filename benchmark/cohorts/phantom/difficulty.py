"""The named parameters that make the phantom easy or hard.

Every figure that is not simply anatomy or calibration stands here, so that the difficulty of the
cohort is turned in one place; changing a value changes the fingerprint and thus the cache.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Difficulty:
    """What makes calcium scoring hard, as probabilities per patient unless said otherwise.

    Attributes
    ----------
    size : tuple of float
        Smallest and largest factor on the size of the heart.
    axis : float
        Largest tilt of the heart about each axis, degrees.
    position : float
        Largest shift of the heart in the field of view along each axis, mm.
    course : float
        SD of the individual wobble of a coronary artery's course, mm.
    noise : tuple of float
        Smallest, median and largest noise SD over patients, HU (of 3.0 mm slices).
    aortic_root : float
        Calcium of the aortic root wall or valve.
    root_spots : int
        Most spots at the root of one patient.
    ostial_touch : float
        Share of patients with root calcium in whom one spot touches the left or right ostium.
    mitral_annulus : float
        Calcium of the mitral annulus, an arc inside the course of the LCX.
    right_ring : float
        Calcium of the right atrioventricular ring, inside the course of the RCA.
    pericardium : float
        Pericardial calcium outside the course of the LAD.
    confuser_size : float
        Median radius of one bead of other calcium, mm; an arc or spot has several.
    confuser_distance : tuple of float
        Smallest and largest distance of annular and pericardial calcium from the artery, mm.
    touching : float
        Probability, per coronary lesion, of calcium that is not coronary so close to it that
        both make one component above 130 HU.
    aortic_wall : float
        Calcium of the ascending or descending aortic wall.
    rca_motion : float
        Motion of the RCA during the scan: doubled or comet-shaped lesions.
    motion_length : tuple of float
        Smallest and largest path of that motion, mm.
    bifurcation : float
        Share of LAD and LCX lesions moved to the first 12 mm behind the left main.
    burden_boost : float
        Factor on probability and extent of other calcium in a patient with an Agatston score of
        400 or more (1 for a score of 0, between them by the logarithm): both rise with age.
    """

    size: tuple[float, float] = (0.82, 1.18)
    axis: float = 11.0
    position: float = 8.0
    course: float = 2.2
    noise: tuple[float, float, float] = (12.0, 18.0, 30.0)
    aortic_root: float = 0.50
    root_spots: int = 3
    ostial_touch: float = 0.35
    mitral_annulus: float = 0.38
    right_ring: float = 0.28
    pericardium: float = 0.28
    confuser_size: float = 1.1
    confuser_distance: tuple[float, float] = (3.5, 8.5)
    touching: float = 0.08
    aortic_wall: float = 0.35
    rca_motion: float = 0.40
    motion_length: tuple[float, float] = (2.0, 6.0)
    bifurcation: float = 0.20
    burden_boost: float = 1.7


DEFAULT_DIFFICULTY = Difficulty()
