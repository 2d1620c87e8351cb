"""``benchmark score``."""

from __future__ import annotations

from pathlib import Path

import click

from benchmark.errors import UserError


@click.command()
@click.argument("image", type=click.Path(path_type=Path))
@click.argument("labels", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "form",
    type=click.Choice(["terminal", "markdown", "csv", "json"]),
    default="terminal",
    show_default=True,
)
@click.option("--threshold", type=float, default=130.0, show_default=True, help="HU.")
@click.option("--inclusive", is_flag=True, help="Count voxels at the threshold too.")
@click.option(
    "--connectivity",
    "in_plane_connectivity",
    type=click.Choice(["8", "4"]),
    default="8",
    show_default=True,
    help="Of voxels in a slice, for the lesions of the Agatston score.",
)
@click.option(
    "--min-area",
    "min_area_mm2",
    type=float,
    default=0.0,
    show_default=True,
    help="mm2 below which a slice's lesion does not count.",
)
@click.option(
    "--thickness-correction/--no-thickness-correction",
    default=True,
    show_default=True,
    help="Scale Agatston by slice spacing / reference thickness.",
)
@click.option("--reference-thickness", type=float, default=3.0, show_default=True, help="mm.")
@click.option(
    "--whole",
    type=click.Choice(["sum", "union"]),
    default="sum",
    show_default=True,
    help="Whole heart: sum of the arteries, or all coronary calcium as one mask.",
)
@click.option(
    "--calibration",
    "mass_calibration",
    type=float,
    default=0.00078,
    show_default=True,
    help="mg of calcium hydroxyapatite per mm3 and HU.",
)
@click.option(
    "--segment",
    "segments",
    multiple=True,
    metavar="NAME=ARTERY",
    help="What a segment's name in LABELS means: LAD, LCX, RCA or background; may be repeated.",
)
def score(
    image: Path,
    labels: Path,
    form: str,
    in_plane_connectivity: str,
    segments: tuple[str, ...],
    **options,
) -> None:
    """Print Agatston, volume and mass of a scan with labels.

    IMAGE is a CT in HU, LABELS on the same grid: 1 LAD with the left main, 2 LCX, 3 RCA. NIfTI,
    NRRD or MetaImage; segments of 3D Slicer (.seg.nrrd) by their names. What `benchmark data check`
    would warn of is said on stderr.
    """
    from benchmark.calcium import Conventions

    try:
        conventions = Conventions(in_plane_connectivity=int(in_plane_connectivity), **options)
    except ValueError as error:
        raise UserError(str(error)) from None
    for path in (image, labels):
        if path.is_dir():
            raise UserError(f"{path}: is a folder; name the file of one scan")
        if not path.is_file():
            raise UserError(f"no such file: {path}")

    from benchmark.calcium import RISK_NAMES, risk_category, score_scan
    from benchmark.cohorts.scan_check import warnings_of
    from benchmark.cohorts.segment_names import table_of
    from benchmark.cohorts.told import warn
    from benchmark.cohorts.volumes import read_scan
    from benchmark.report.scores import write_scores

    named = dict(pair.rpartition("=")[::2] for pair in segments)
    scan = read_scan(image, labels, segments=table_of(named, "--segment"))
    warnings, change = warnings_of(scan, conventions)
    for line in (change, *warnings):
        if line:
            warn(f"{scan.id}: {line}")
    try:
        scores = score_scan(scan.voxels, scan.labels, scan.spacing, conventions)
    except ValueError as error:
        raise UserError(f"{labels}: {error}") from None
    risk = int(risk_category(scores[0, 3]))
    click.echo(write_scores(scan.id, scores, risk, RISK_NAMES[risk], form), nl=False)
