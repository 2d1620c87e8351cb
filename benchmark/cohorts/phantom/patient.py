"""One virtual patient: everything about body and scanner that is drawn before painting."""

from __future__ import annotations

from dataclasses import dataclass

from benchmark.cohorts.phantom.difficulty import Difficulty
from benchmark.cohorts.phantom.stream import Stream

CENTRES = ("centre-1", "centre-2")
#: Slice spacing of either centre in mm (phantom.md; the paper's section 4.1).
SLICE = (2.5, 3.0)
#: Share of patients from the first centre; the paper does not print it.
FIRST_CENTRE_SHARE = 0.6


@dataclass(frozen=True)
class Patient:
    """Body and scanner of one virtual patient; lengths in mm, intensities in HU.

    Attributes
    ----------
    centre : int
        0 or 1, see `CENTRES`.
    slices : int
        Number of slices.
    field_of_view : float
        Factor on the pixel size, 0.92 to 1.08.
    size : float
        Factor on all lengths of the heart.
    tilt : tuple of float
        Rotation of the heart about x, y and z, degrees.
    shift : tuple of float
        Shift (x, y, z) of heart and thorax in the field of view.
    girth : float
        Factor on the chest, large in heavy patients.
    fat_shell : float
        Thickness of the epicardial fat.
    blood, muscle, fat, lung, bone : float
        HU of blood, myocardium, fat, lung and trabecular bone.
    blur : float
        In-plane point spread, SD.
    noise : float
        Noise SD.
    kernel : float
        SD of the noise's in-plane correlation kernel.
    offset : float
        HU added to the whole scan: no scanner is calibrated exactly like another.
    """

    centre: int
    slices: int
    field_of_view: float
    size: float
    tilt: tuple[float, float, float]
    shift: tuple[float, float, float]
    girth: float
    fat_shell: float
    blood: float
    muscle: float
    fat: float
    lung: float
    bone: float
    blur: float
    noise: float
    kernel: float
    offset: float


def draw_patient(seed: int, index: int, difficulty: Difficulty) -> Patient:
    """Draw the patient of this index.

    Parameters
    ----------
    seed, index : int
        Cohort seed and patient index.
    difficulty : Difficulty
        Ranges of size, pose and noise.

    Returns
    -------
    Patient
    """
    centre = 0 if Stream(seed, index, "assignment").chance(FIRST_CENTRE_SHARE) else 1
    draw = Stream(seed, index, "body")
    girth = draw.normal(1.0, 0.09, 2.0)
    size = draw.uniform(*difficulty.size)
    quietest, median, loudest = difficulty.noise
    # Large patients are noisier; thick slices average, which the sharper kernel of the second
    # centre takes back.
    noise = draw.lognormal(median, 0.3, 2.5) * (1.0 + 1.2 * (girth - 1.0))
    noise *= (1.04, 0.98)[centre]
    limit = difficulty.axis
    reach = difficulty.position
    return Patient(
        centre=centre,
        slices=draw.integer(*((42, 44), (35, 37))[centre]),
        # The field is chosen to hold the heart: large hearts get no small one.
        field_of_view=draw.uniform(min(1.04, max(0.92, 0.92 + 0.75 * (size - 1.0))), 1.08),
        size=size,
        tilt=(
            draw.uniform(-limit, limit),
            draw.uniform(-limit, limit),
            draw.uniform(-limit, limit),
        ),
        shift=(
            draw.uniform(-reach, reach),
            draw.uniform(-reach, reach),
            draw.uniform(-reach, reach),
        ),
        girth=girth,
        fat_shell=draw.uniform(2.5, 7.0) * girth,
        blood=draw.uniform(36.0, 42.0),
        muscle=draw.uniform(38.0, 43.0),
        fat=draw.uniform(-110.0, -93.0),
        lung=draw.uniform(-915.0, -850.0),
        bone=draw.uniform(110.0, 230.0),
        blur=draw.uniform(*((0.66, 0.90), (0.60, 0.78))[centre]),
        noise=round(min(max(noise, quietest), loudest), 6),
        kernel=(0.62, 0.52)[centre],
        offset=draw.normal((0.0, 4.0)[centre], 2.0),
    )
