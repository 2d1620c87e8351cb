"""The choices on which calcium scoring programs differ, each with its default and its source."""

import math
from dataclasses import dataclass
from typing import Literal

ARTERIES = ("LAD", "LCX", "RCA")
"""Arteries in the order of their labels 1, 2, 3; the left main counts as LAD."""

TARGETS = (*ARTERIES, "whole")
"""Columns of the scores."""

SCORES = ("agatston", "volume", "mass")
"""Rows of the scores: Agatston score (no unit), volume in mm3, mass in mg."""

UNDETERMINED = 4
"""Label of coronary calcium of unknown artery: counts for the whole heart, for no artery."""


@dataclass(frozen=True)
class Conventions:
    """How calcium is found and scored.

    The formula of the orCaScore organisers is not published in full: their minimum area, slice
    spacing correction and in-plane connectivity are unknown. No setting here is theirs.

    Parameters
    ----------
    threshold : float, default 130
        HU above which a voxel is calcium (Agatston et al. 1990).
    inclusive : bool, default False
        False counts voxels above the threshold, as orCaScore (Wolterink et al. 2016) and the
        MMWFAnet paper word it. True counts voxels at the threshold too, as in Agatston et al.
        1990 and in vendors' programs (130 HU <= peak < 200 HU).
    in_plane_connectivity : {8, 4}, default 8
        Whether voxels of a slice that touch by a corner are one lesion for the Agatston score.
        Programs differ: van Ooijen et al. 2005 found both settings in use, and scores 3 % lower
        with 4. 8 is our choice, because a corner between voxels of 0.4 mm is no anatomical gap.
    min_area_mm2 : float, default 0
        In-plane lesions of a smaller area (mm2) count for no score. Agatston et al. 1990 asked
        for 1 mm2. The default drops nothing, so that scores follow from the labels alone.
    thickness_correction : bool, default True
        Multiply the Agatston score by slice spacing / `reference_thickness`. The score was defined
        on contiguous 3 mm slices; vendors scale it for other spacings and overlapping slices.
        The distance between slices is used, never the thickness: overlap counts no calcium twice.
    reference_thickness : float, default 3.0
        mm (Agatston et al. 1990).
    whole : {"sum", "union"}, default "sum"
        "sum" adds the scores of all labels, as vendors' programs do. "union" scores all coronary
        calcium as one mask, where touching lesions of two arteries share the higher peak.
    mass_calibration : float, default 0.00078
        mg of calcium hydroxyapatite per mm3 and HU. It ought to come from a phantom scanned with
        the same scanner and protocol: known density / (its HU - HU of water), McCollough et al.
        2007. The default is nominal, not measured: it assumes that 200 mg/cm3 read about 256 HU
        above water at 120 kV. It scales all masses alike and cancels in correlations.

    Raises
    ------
    ValueError
        If a setting is outside its range.

    References
    ----------
    Agatston et al., J Am Coll Cardiol 15(4):827-832, 1990.
    McCollough et al., Radiology 243(2):527-538, 2007.
    van Ooijen et al., Eur Radiol 15(1):102-110, 2005.
    Wolterink et al., Med Phys 43(5):2361-2373, 2016.
    """

    threshold: float = 130.0
    inclusive: bool = False
    in_plane_connectivity: Literal[8, 4] = 8
    min_area_mm2: float = 0.0
    thickness_correction: bool = True
    reference_thickness: float = 3.0
    whole: Literal["sum", "union"] = "sum"
    mass_calibration: float = 0.00078

    def __post_init__(self) -> None:
        if not math.isfinite(self.threshold):
            raise ValueError(f"threshold must be a finite number of HU, not {self.threshold}")
        if self.in_plane_connectivity not in (4, 8):
            raise ValueError(
                f"in_plane_connectivity must be 4 or 8, not {self.in_plane_connectivity}"
            )
        if not (math.isfinite(self.min_area_mm2) and self.min_area_mm2 >= 0):
            raise ValueError(f"min_area_mm2 must be 0 or more, not {self.min_area_mm2}")
        if self.whole not in ("sum", "union"):
            raise ValueError(f"whole must be 'sum' or 'union', not {self.whole!r}")
        for name in ("reference_thickness", "mass_calibration"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be above 0, not {value}")


DEFAULT = Conventions()
"""The conventions of every leaderboard unless a suite says otherwise."""
