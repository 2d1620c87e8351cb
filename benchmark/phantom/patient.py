"""One virtual person and the scan they get: all that is drawn before the body is built."""

from __future__ import annotations

import math
from dataclasses import dataclass

from benchmark.errors import UserError
from benchmark.phantom.burden import draw_burden
from benchmark.phantom.scanner import SCANNERS, Scanner
from benchmark.phantom.shapes import Vector
from benchmark.phantom.stream import Stream


@dataclass(frozen=True)
class Patient:
    """A person and their scanner; lengths in mm, intensities in HU.

    Attributes
    ----------
    seed, index : int
        Which cohort, and which of its people. The same person is in every protocol.
    protocol : str
        ``"gated"`` or ``"wide"``, see `scanner.SCANNERS`.
    scanner : Scanner
        How they were scanned.
    burden : float
        Coronary Agatston score aimed at; 0 for none.
    size : float
        Factor on all lengths of the heart.
    tilt : tuple of float
        Rotation of the heart about x, y and z, degrees.
    girth : float
        Factor on the chest wall, large in heavy patients.
    shell : float
        Thickness of epicardial fat over the free walls.
    groove : float
        Width of the fillet that fills the grooves with fat.
    front_fat : float
        Further fat before the right ventricle and at the apex.
    breast : float
        Thickness of the breasts, 0 for none.
    blood, muscle, fat, lung, bone : float
        HU of blood, myocardium, fat, lung and trabecular bone.
    """

    seed: int
    index: int
    protocol: str
    scanner: Scanner
    burden: float
    size: float
    tilt: Vector
    girth: float
    shell: float
    groove: float
    front_fat: float
    breast: float
    blood: float
    muscle: float
    fat: float
    lung: float
    bone: float

    @classmethod
    def of(cls, index: int, seed: int = 0, protocol: str = "gated") -> Patient:
        """Draw a person.

        Parameters
        ----------
        index : int
            Which person, from 0.
        seed : int
            Another seed is another cohort.
        protocol : str
            ``"gated"`` or ``"wide"``.

        Raises
        ------
        UserError
            If index or seed is negative, or the protocol is unknown.
        """
        if index < 0 or seed < 0:
            raise UserError(f"phantom: index {index} and seed {seed} must be 0 or more")
        if protocol not in SCANNERS:
            raise UserError(
                f"phantom: protocol {protocol!r} is not known; there are {', '.join(SCANNERS)}"
            )
        draw = Stream(seed, index, "body")
        girth = draw.normal(1.0, 0.11, 2.0)
        size = min(1.18, max(0.82, draw.normal(1.0, 0.08, 2.5)))
        tilt = [max(-28.0, min(28.0, draw.normal(0.0, 11.0))) for _ in range(3)]
        if draw.chance(0.05):  # a vertical or horizontal heart
            tilt[2] += 15.0
        # Epicardial fat differs several-fold between people of one size.
        amount = draw.lognormal(1.0, 0.26, 2.0) * (1.0 + 1.0 * (girth - 1.0))
        woman = draw.chance(0.5)
        scanner = SCANNERS[protocol](Stream(seed, index, "scanner"), girth)
        # A person's calcium is that of a standard scan: it does not depend on their scanner.
        return cls(
            seed=seed,
            index=index,
            protocol=protocol,
            scanner=scanner,
            burden=draw_burden(Stream(seed, index, "lesions")),
            size=size,
            tilt=(tilt[0], tilt[1], tilt[2]),
            girth=girth,
            shell=round(0.7 * amount * draw.uniform(0.4, 1.6), 6),
            groove=round(7.0 + 7.0 * min(1.8, amount) * draw.uniform(0.7, 1.3), 6),
            front_fat=round(4.0 * amount * draw.uniform(0.2, 1.8), 6),
            breast=round((28.0 if woman else 6.0) * girth * draw.uniform(0.4, 1.4), 6),
            blood=draw.uniform(34.0, 44.0),
            muscle=draw.uniform(36.0, 45.0),
            fat=draw.uniform(-108.0, -88.0),
            lung=draw.uniform(-905.0, -820.0),
            bone=draw.uniform(100.0, 230.0),
        )

    def stream(self, name: str) -> Stream:
        """Return the person's stream of this name, from its beginning."""
        return Stream(self.seed, self.index, name)

    @property
    def age_factor(self) -> float:
        """Return 0 without coronary calcium to 1 from an Agatston score of 400, as age rises."""
        return round(min(1.0, math.log1p(self.burden) / math.log(401.0)), 6)
