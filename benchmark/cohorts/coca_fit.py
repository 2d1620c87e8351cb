"""Whether outlines lie on the calcium that they were drawn around.

The XML of COCA states lowest, highest and mean HU of the pixels under each outline, and their sum.
In the release these are of the voxels of 130 HU and more within it (whole numbers being pixel
centres). An XML that belongs to another patient, or is shifted, states what its pixels do not have.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from benchmark.cohorts.coca_xml import Outline
from benchmark.errors import UserError

CALCIUM = 130
"""HU of the least calcium under an outline of the release."""

SLACK_HU = 1.5
"""By which a lowest, highest or mean HU may differ: rounding of slopes and of printed figures."""

SLACK_SUM = 0.02
"""Part of a sum by which it may differ: a pixel on the line."""


@dataclass
class Fit:
    """What was seen of the outlines of a scan.

    Attributes
    ----------
    outlines, stating : int
        All, and those whose entry states anything that can be compared.
    without : int
        Outlines that hold no voxel of `CALCIUM`.
    contradicted : list of str
        Of them those whose entry states a higher Max, in words.
    unlike : list of str
        Outlines whose figures are not those of their pixels, in words.
    """

    outlines: int = 0
    stating: int = 0
    without: int = 0
    contradicted: list[str] = field(default_factory=list)
    unlike: list[str] = field(default_factory=list)

    def add(self, outline: Outline, hu: np.ndarray) -> None:
        """Look at an outline.

        Parameters
        ----------
        outline : Outline
        hu : numpy.ndarray, shape (n,)
            HU of the pixels under it, at least one.
        """
        self.outlines += 1
        self.stating += bool(outline.stated)
        highest = outline.stated.get("Max")
        empty = bool(hu.max() < CALCIUM)
        self.without += empty
        if empty and highest is not None and highest > max(CALCIUM, hu.max() + SLACK_HU):
            self.contradicted.append(_words(outline, hu))
        # marks of one or two points are no areas
        if outline.stated and len(outline.pixels) > 2 and not fits(outline.stated, hu):
            self.unlike.append(_words(outline, hu))

    def judge(self) -> list[str]:
        """Return warnings.

        Raises
        ------
        UserError
            If most outlines state calcium where their pixels have none.
        """
        if 2 * len(self.contradicted) > self.stating:
            raise UserError(
                f"its XML does not fit its pixels: {len(self.contradicted)} of {self.outlines} "
                f"outlines state calcium where no pixel reaches {CALCIUM} HU: "
                f"{self.contradicted[0]}; is it the XML of another patient?"
            )
        warnings = []
        if self.without:
            warnings.append(
                f"{self.without} of {self.outlines} outlines hold no voxel of {CALCIUM} HU and more"
            )
        if 2 * len(self.unlike) > self.stating:
            warnings.append(
                f"the XML's own figures of {len(self.unlike)} of {self.outlines} outlines are not "
                f"those of their pixels: {self.unlike[0]}"
            )
        return warnings


def fits(stated: dict[str, float], hu: np.ndarray) -> bool:
    """Whether what an entry states may be said of its pixels: of all, or of the calcium alone.

    Parameters
    ----------
    stated : dict of str to float
        As in `Outline`.
    hu : numpy.ndarray, shape (n,)
    """
    sets = (hu, hu[hu >= CALCIUM], hu[hu > CALCIUM])
    return any(_fits(stated, of.astype(float)) for of in sets if len(of))


def _fits(stated: dict[str, float], hu: np.ndarray) -> bool:
    own = _figures(hu)
    return all(
        abs(value - own[name]) <= (SLACK_SUM * abs(own[name]) if name == "Total" else 0) + SLACK_HU
        for name, value in stated.items()
    )


def _figures(hu: np.ndarray) -> dict[str, float]:
    return {"Min": hu.min(), "Max": hu.max(), "Mean": hu.mean(), "Total": hu.sum()}


def _words(outline: Outline, hu: np.ndarray) -> str:
    """Name an outline with the figures it states and those of its pixels, of calcium if any."""
    calcium = hu[hu >= CALCIUM]
    own = _figures((calcium if len(calcium) else hu).astype(float))
    states = ", ".join(f"{name} {value:g}" for name, value in outline.stated.items())
    found = ", ".join(f"{own[name]:.6g}" for name in outline.stated)
    return (
        f"outline {outline.number} on image {outline.index} states {states}, its pixels have "
        f"{found}"
    )
