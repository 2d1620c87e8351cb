"""All that the page shows, as plain values: the runs, and what several of them say together."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from benchmark.cohorts.base import Cohort
from benchmark.errors import UserError
from benchmark.methods import ranked
from benchmark.page.agreement import LineAgreement, agreement_data, agreements
from benchmark.page.curves import cost_data, curve_data
from benchmark.page.differences import Panel, ablation_data, forest_data, panels
from benchmark.page.gain import GainPart, gain_part
from benchmark.page.gallery import MOST_BYTES, GalleryPart, gallery_part
from benchmark.page.lines import PageRun, read_run
from benchmark.report.files import per_scan
from benchmark.report.joined import Joined, join
from benchmark.runs.finished import FinishedRun

CohortOf = Callable[[FinishedRun], Cohort]
"""Opens the scans of a run, or raises UserError with the reason why it cannot."""


@dataclass(frozen=True, eq=False)
class RunPart:
    """The sections of one run.

    Attributes
    ----------
    run : PageRun
    panels : tuple of Panel
    agreements : tuple of LineAgreement
    gain : GainPart
    gallery : GalleryPart
    scans : str
        CSV of all predictions, scan by scan.
    """

    run: PageRun
    panels: tuple[Panel, ...]
    agreements: tuple[LineAgreement, ...]
    gain: GainPart
    gallery: GalleryPart
    scans: str

    @property
    def configuration(self) -> str:
        """plan.json, as text."""
        return json.dumps(self.run.run.plan, indent=1)

    def data(self) -> dict:
        """What the plots and the gallery draw."""
        ids = next(cell.ids for cell in self.run.cells if cell.state == "finished")
        return {
            "name": self.run.name,
            "forest": forest_data(self.panels),
            "ablations": ablation_data(self.run.board),
            "curves": curve_data(self.run),
            "cost": cost_data(self.run.board),
            "agreement": agreement_data(self.agreements, ids),
            "gallery": self.gallery.data,
        }


@dataclass(frozen=True, eq=False)
class SharedPart:
    """What all runs say together: claims and ranks.

    Attributes
    ----------
    claims, ranks : object or None
        `benchmark.report.claims_text.ClaimsPage` and `benchmark.report.ranks.Ranks`.
    why_no_claims, why_no_ranks : str
        One sentence where there is none.
    """

    claims: object = None
    ranks: object = None
    why_no_claims: str = ""
    why_no_ranks: str = ""


@dataclass(frozen=True, eq=False)
class Content:
    """The page.

    Attributes
    ----------
    parts : tuple of RunPart
    shared : SharedPart
    notes : tuple of str
        Of all runs, each once.
    """

    parts: tuple[RunPart, ...]
    shared: SharedPart
    notes: tuple[str, ...] = field(default=())

    @property
    def title(self) -> str:
        """Of the browser's tab."""
        return "; ".join(dict.fromkeys(part.run.board.title for part in self.parts))


def make_content(runs: Sequence[FinishedRun], cohort_of: CohortOf) -> Content:
    """Read and measure runs.

    Parameters
    ----------
    runs : sequence of FinishedRun
    cohort_of : callable

    Raises
    ------
    UserError
        If a run is asked for twice, is not finished, or holds nothing.
    """
    seen = set()
    for run in runs:
        place = run.folder.resolve()
        if place in seen:
            raise UserError(f"{run.folder}: named twice; name each run once")
        seen.add(place)
    joined, why = None, ""
    try:
        joined = join(runs)
    except UserError as error:
        if len(runs) == 1:
            raise
        why = f"The runs cannot be judged together: {error}."
    # cells and what is measured of them serve all sections: read once, measured once
    read = [read_run(f"r{place}", run, joined) for place, run in enumerate(runs, start=1)]
    room = MOST_BYTES // len(read)
    parts = tuple(_part(run, cohort_of, room) for run in read)
    shared = _shared(joined) if joined is not None else SharedPart(None, None, why, why)
    notes = dict.fromkeys(note for part in parts for note in part.run.board.notes)
    return Content(parts, shared, tuple(notes))


def _part(run: PageRun, cohort_of: CohortOf, room: int) -> RunPart:
    return RunPart(
        run,
        panels(run.lines),
        agreements(run),
        gain_part(run),
        gallery_part(run, lambda: cohort_of(run.run), room),
        by_scan(per_scan(run.cells)),
    )


def by_scan(text: str) -> str:
    """The table of predictions with its rows scan by scan: equal references then pack well."""
    rows = list(csv.reader(io.StringIO(text)))
    head, body = rows[0], rows[1:]
    place = head.index("scan")
    body.sort(key=lambda row: row[place])
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([head, *body])
    return out.getvalue()


def _shared(joined: Joined) -> SharedPart:
    claims, why_no_claims = _claims(joined)
    ranks, why_no_ranks = _ranks(joined)
    return SharedPart(claims, ranks, why_no_claims, why_no_ranks)


def _claims(joined: Joined) -> tuple[object, str]:
    try:
        from benchmark.report.claims import paper_claims
        from benchmark.report.claims_text import claims_page
        from benchmark.report.judging import judge

        stated = paper_claims()
    except (ImportError, UserError) as error:
        return None, f"The paper's claims are not judged here: {error}."
    return claims_page(judge(stated.claims, joined), stated.left_out, joined), ""


def _ranks(joined: Joined) -> tuple[object, str]:
    try:
        from benchmark.report.ranks import make_ranks
    except ImportError as error:
        return None, f"Methods are not ranked here: {error}."
    if sum(ranked(row.method) for row in joined.rows.values()) < 2:
        return None, "Ranks need two trained methods that are no references."
    return make_ranks(joined), ""
