"""The slices of an enhanced CT, which keeps them all in one file (PS3.3 A.38).

Where a slice lies and how it becomes HU stands in functional groups: one set for all slices, and
one for each. A header that leaves a slice without its place stays one of kind "multiframe".
"""

from __future__ import annotations

from dataclasses import replace

from benchmark.cohorts.dicom_header import SliceHeader, floats, number, rescale, same_text

MOST_FRAMES = 2048
"""Slices of one file: 2^29 voxels of 512 x 512 pixels."""

GROUPS = {
    "PixelMeasuresSequence": "PixelSpacing",
    "PlanePositionSequence": "ImagePositionPatient",
    "PlaneOrientationSequence": "ImageOrientationPatient",
}
"""Functional groups without which a slice has no place, and the element of each."""


def frames_of(header: SliceHeader, data) -> list[SliceHeader]:
    """Return a header for each slice of a file of several.

    Parameters
    ----------
    header : SliceHeader
        Of the whole file.
    data : pydicom.Dataset
        Its elements without pixels.

    Returns
    -------
    list of SliceHeader
        Kind "ct"; or the one given, with what it lacks, if the slices cannot be told apart.
    """
    count = int(data.get("NumberOfFrames") or 1)
    if count > MOST_FRAMES:
        return [replace(header, lacks=f"it holds more than {MOST_FRAMES} slices")]
    shared = _first(data, "SharedFunctionalGroupsSequence")
    each = data.get("PerFrameFunctionalGroupsSequence") or ()
    if len(each) != count and not (shared is not None and count == 1):
        return [replace(header, lacks="it does not say where each slice lies")]
    frames = []
    for place in range(count):
        own = each[place] if place < len(each) else None

        def group(name: str, own=own):
            found = None if own is None else _first(own, name)
            return found if found is not None or shared is None else _first(shared, name)

        for name, element in GROUPS.items():
            if group(name) is None or not group(name).get(element):
                return [replace(header, lacks=f"it lacks {element} of a slice")]
        frames.append(_frame(header, group, place))
    return frames


def _frame(header: SliceHeader, group, place: int) -> SliceHeader:
    measures = group("PixelMeasuresSequence")
    values = group("PixelValueTransformationSequence")
    kind = group("CTImageFrameTypeSequence")
    content = group("FrameContentSequence")
    kernel = group("CTReconstructionSequence")
    phase = group("CardiacSynchronizationSequence")
    same = dict(header.same)
    for source, name, key in (
        (kind, "FrameType", "ImageType"),
        (content, "TemporalPositionIndex", "TemporalPositionIndex"),
        (content, "StackID", "StackID"),
        (kernel, "ConvolutionKernel", "ConvolutionKernel"),
        (phase, "NominalPercentageOfCardiacPhase", "NominalPercentageOfCardiacPhase"),
    ):
        text = "" if source is None else same_text(key, source.get(name))
        if text:
            same[key] = text
    acquisition = None if content is None else content.get("FrameAcquisitionNumber")
    return replace(
        header,
        kind="localizer" if "LOCALIZER" in same.get("ImageType", "").split("\\") else "ct",
        number=place,
        frame=place,
        position=floats(group("PlanePositionSequence"), "ImagePositionPatient", 3),
        axes=floats(group("PlaneOrientationSequence"), "ImageOrientationPatient", 6),
        pixel=floats(measures, "PixelSpacing", 2),
        thickness=number(measures, "SliceThickness") or None,
        between=number(measures, "SpacingBetweenSlices") or None,
        acquisition="" if acquisition is None else str(acquisition),
        instance="",
        same=same,
        **({} if values is None else rescale(values)),
    )


def _first(data, name: str):
    """Return the first item of a sequence, or None."""
    sequence = data.get(name)
    return sequence[0] if sequence else None
