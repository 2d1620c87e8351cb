"""The phantom's own figures beside those of the literature."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.calcium import RISK_NAMES, risk_category
from benchmark.cohorts.phantom.cohort import PhantomCohort
from benchmark.cohorts.phantom.confusers import KINDS
from benchmark.cohorts.phantom.drawing import draw
from benchmark.cohorts.phantom.facts import Facts, measure_scan
from benchmark.cohorts.phantom.patient import CENTRES

__all__ = ["Row", "describe", "draw"]


@dataclass(frozen=True)
class Row:
    """One line of the comparison; both sides are text, ready to print."""

    quantity: str
    literature: str
    phantom: str


def _percentiles(values: Sequence[float], ranks: Sequence[float], digits: int = 0) -> str:
    if len(values) == 0:
        return "none"
    return " / ".join(f"{value:.{digits}f}" for value in np.percentile(values, ranks))


def _spacings(facts: list[Facts], centre: str) -> list[str]:
    return [f"{s:g}" for s in sorted({f.spacing[0] for f in facts if f.centre == centre})]


def _percent(part: float) -> str:
    return "none" if np.isnan(part) else f"{100 * part:.0f} %"


def describe(
    cohort: PhantomCohort,
    ids: Iterable[str],
    progress: Callable[[int, int], None] | None = None,
) -> list[Row]:
    """Compare finished scans of the phantom with the literature.

    All is measured in voxels and labels, except where other calcium and RCA motion were put, which
    no label tells; of other calcium only what exceeds 130 HU in the image counts.

    Parameters
    ----------
    cohort : PhantomCohort
        Where the scans come from.
    ids : iterable of str
        Scans to look at.
    progress : callable, optional
        Called as ``progress(done, total)``.

    Returns
    -------
    list of Row
    """
    wanted = list(ids)
    facts = []
    for id in wanted:
        facts.append(measure_scan(cohort.load(id), cohort.recipe))
        if progress is not None:
            progress(len(facts), len(wanted))
    return [*_image_rows(facts), *_calcium_rows(facts), *_hard_rows(facts)]


def _image_rows(facts: list[Facts]) -> list[Row]:
    pixels = [fact.spacing[2] for fact in facts]
    rows = [
        Row(
            "scans",
            "676 from two centres (paper)",
            " + ".join(
                f"{sum(f.centre == centre for f in facts)} from {centre}" for centre in CENTRES
            ),
        ),
        Row(
            "slice spacing, mm",
            "2.5 (centre 1), 3.0 (centre 2)",
            ", ".join(
                f"{centre}: {', '.join(_spacings(facts, centre)) or 'none'}" for centre in CENTRES
            ),
        ),
        Row(
            "in-plane pixel, mm",
            "0.3-0.5 (use spacing 0.4)",
            f"{min(pixels):.2f}-{max(pixels):.2f}",
        ),
    ]
    for name, literature, attribute in (
        ("blood and myocardium, HU (5th / 50th / 95th patient)", "34-43", "soft"),
        ("fat, HU", "-110 to -91", "fat"),
        ("lung, HU", "-920 to -840", "lung"),
        ("noise SD, HU", "12-30, median 18", "noise"),
    ):
        values = np.array([getattr(fact.tissue, attribute) for fact in facts])
        rows.append(Row(name, literature, _percentiles(values[~np.isnan(values)], (5, 50, 95))))
    for centre in CENTRES:
        here = [fact.tissue for fact in facts if fact.centre == centre]
        if here:
            rows.append(
                Row(
                    f"noise SD, HU / correlation of neighbours, {centre}",
                    "correlated in plane",
                    f"{np.nanmedian([t.noise for t in here]):.0f} / "
                    f"{np.nanmedian([t.correlation for t in here]):.2f}",
                )
            )
    return rows


def _calcium_rows(facts: list[Facts]) -> list[Row]:
    scores = np.array([fact.agatston for fact in facts])  # (patients, LAD LCX RCA whole)
    whole = scores[:, 3]
    some = whole > 0
    vessels = (scores[:, :3] > 0).sum(1)
    alone = [(scores[some, k] > 0) & (vessels[some] == 1) for k in range(3)]
    shares = [float(part.mean()) if some.any() else float("nan") for part in alone]
    volumes = [volume for fact in facts for volume in fact.volumes]
    peaks = [peak for fact in facts for peak in fact.peaks]
    risks = np.bincount(risk_category(whole), minlength=len(RISK_NAMES))
    return [
        Row("no coronary calcium", "a quarter to a third", _percent(float((~some).mean()))),
        Row(
            "Agatston score of those with any, percentiles 25 / 50 / 75 / 90",
            "2.3 / 41 / 193 / 557 (men)",
            _percentiles(whole[some], (25, 50, 75, 90), 1),
        ),
        Row(
            "risk categories: " + ", ".join(RISK_NAMES),
            "not printed by the paper",
            " / ".join(str(risk) for risk in risks),
        ),
        Row(
            "one artery alone: LAD with LM / RCA / LCX",
            "44 + 6 / 12 / 10 %",
            " / ".join(_percent(shares[k]) for k in (0, 2, 1)),
        ),
        Row(
            "several arteries",
            "28 %",
            _percent(float((vessels[some] > 1).mean()) if some.any() else float("nan")),
        ),
        Row(
            "lesion volume, mm3, median (quartiles)",
            "6-27 over data sets",
            f"{_percentiles(volumes, (50,))} ({_percentiles(volumes, (25, 75))})",
        ),
        Row(
            "peak of a lesion, HU, percentiles 5 / 50 / 95",
            "200-1300",
            _percentiles(peaks, (5, 50, 95)),
        ),
        Row(
            "lesions per patient with any",
            "not in our sources",
            f"{len(volumes) / max(1, int(some.sum())):.1f}",
        ),
    ]


def _hard_rows(facts: list[Facts]) -> list[Row]:
    literature = {
        "aortic root": "valve 13 %, half of the old",
        "mitral annulus": "4-12 %",
        "right ring": "rare",
        "pericardium": "rare",
        "aortic wall": "common with age",
        "touching": "occurs",
    }
    lesions = max(1, sum(len(fact.volumes) for fact in facts))
    rows = [
        Row(
            f"other calcium: {kind}",
            literature[kind],
            _percent(float(np.mean([kind in fact.kinds for fact in facts]))),
        )
        for kind in KINDS
    ]
    rows.append(
        Row(
            "any other calcium",
            "not in our sources",
            _percent(float(np.mean([bool(fact.kinds) for fact in facts]))),
        )
    )
    rca = [fact.moving for fact in facts if fact.agatston[2] > 0]
    rows += [
        Row(
            "lesions in one component with other calcium",
            "occurs",
            _percent(sum(fact.mixed for fact in facts) / lesions),
        ),
        Row(
            "lesions of two arteries in one component",
            "occurs at the bifurcation",
            _percent(sum(fact.shared for fact in facts) / lesions),
        ),
        Row(
            "patients with a lesion at an ostium",
            "common",
            _percent(float(np.mean([fact.ostial for fact in facts]))),
        ),
        Row(
            "RCA motion, of patients with RCA calcium",
            "common",
            _percent(float(np.mean(rca)) if rca else float("nan")),
        ),
        Row(
            "noise: single voxels above 130 HU near the heart, percentiles 50 / 75 / 95",
            "more in large patients",
            _percentiles([f.specks for f in facts], (50, 75, 95)),
        ),
    ]
    return rows
