"""The page as one HTML file: nothing is asked of a network, and no text of a run is run.

Plotly.js draws: it is kept by many, shows values under the pointer, zooms and saves pictures
without a line of ours, and its Python package brings the library as a file, with nothing to build
when a page is made. (Vega-Lite is smaller, but the package that brings it has to bundle it first,
which takes longer than all the rest of the page.) The whole library has 5 MB; packed it is a third
of that, and the browser unpacks it. A content security policy in the page forbids every request,
and every script but the two that this module puts in, known by their hashes.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import math
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from benchmark import __version__
from benchmark.errors import UserError
from benchmark.page.agreement import categories, limits_table
from benchmark.page.content import Content, RunPart
from benchmark.page.differences import Panel
from benchmark.page.tables import GROUPS, MARKS, heads, table_rows
from benchmark.report import ablations
from benchmark.report.board import number
from benchmark.report.spent import HEADINGS, diagnostics, spent_cells, taken_from
from benchmark.report.terminal import deviations

MOST_SCANS_TABLE = 3_000_000
"""Bytes that a packed table of scans may have; a larger one is named, not embedded."""

SCRIPTS = ("page.js", "tables.js", "plots.js", "gallery.js")


def render(content: Content) -> str:
    """The page.

    Parameters
    ----------
    content : Content

    Returns
    -------
    str
        A whole HTML document.
    """
    library, script = plotly(), _script()
    views, packed = {}, {"plotly": _packed_plotly()}
    for part in content.parts:
        view = _view(part)
        table = pack(part.scans)
        if len(table) <= MOST_SCANS_TABLE:
            view["embedded"] = True
            packed[f"{part.run.key}-csv"] = table
        views[part.run.key] = view
    template = _environment().get_template("page.html.j2")
    return template.render(
        content=content,
        views=views,
        data=htmlsafe_json_dumps({key: view["data"] for key, view in views.items()}, dumps=_dumps),
        packed=packed,
        policy=policy(library, script),
        style=Markup(_text("page.css")),
        script=Markup(script),
        version=__version__,
        groups=GROUPS,
        marks=MARKS,
        categories=categories(),
        spent_heads=HEADINGS,
        ablation_heads=ablations.HEADINGS,
        claims=_claims(content.shared.claims),
        ranks=_ranks(content.shared.ranks),
    )


def policy(*scripts: str) -> str:
    """A content security policy: these scripts alone, pictures in the file, no request at all."""
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
        for text in scripts
    )
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def pack(text: str) -> str:
    """Text as gzip in base64; the same text gives the same bytes."""
    return base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()


@cache
def plotly() -> str:
    """Plotly.js, from its Python package.

    Raises
    ------
    UserError
        If the package is not installed.
    """
    try:
        place = files("plotly") / "package_data" / "plotly.min.js"
        return place.read_text(encoding="utf-8")
    except (ModuleNotFoundError, FileNotFoundError):
        raise UserError("the page needs plotly; run: pip install plotly") from None


@cache
def _packed_plotly() -> str:
    return pack(plotly())


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("benchmark.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _text(name: str) -> str:
    return (files("benchmark.page") / "templates" / name).read_text(encoding="utf-8")


@cache
def _script() -> str:
    return '"use strict";\n' + "\n".join(_text(name) for name in SCRIPTS)


def _dumps(value: object, **_) -> str:
    import json

    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _view(part: RunPart) -> dict:
    """What the template needs of one run beside its part."""
    board = part.run.board
    columns, rows = heads(board), table_rows(board)
    figures = [cell for row in rows for cell in row.cells]
    data = part.data()
    return {
        "heads": columns,
        "groups": {head.group for _, head in columns},
        "rows": rows,
        "has_paper": any(cell.paper for cell in figures),
        "has_seeds": any(cell.seeds for cell in figures),
        "bases": [
            ablations.explanation(base) for base in dict.fromkeys(a.base for a in board.ablations)
        ],
        "ablations": [ablations.ablation_cells(one) for one in board.ablations],
        "panels": [
            panel_view(panel, known["name"])
            for panel, known in zip(part.panels, data["forest"], strict=True)
        ],
        "spent": [
            [(cell, _sort_value(cell)) for cell in spent_cells(row)]
            for row in board.rows
            if row.trained and row.lines
        ],
        "budget": part.run.run.plan["budget"],
        "limits": limits_table(part.agreements),
        "failures": failures(part),
        "deviations": _remarks(part),
        "scan_rows": max(part.scans.count("\n") - 1, 0),
        "file": f"{part.run.name.replace('/', '-')}-per_scan.csv",
        "embedded": False,
        "data": data,
    }


def _sort_value(text: str) -> float | None:
    """The number that a cell of the ledger is sorted by."""
    try:
        return float(text.replace(",", ""))
    except ValueError:
        return None


def panel_view(panel: Panel, name: str) -> dict:
    """A panel's numbers as text."""
    noise = panel.noise
    spread = (
        f"SD over seeds, pooled: {number(noise.sd)}"
        if math.isfinite(noise.sd)
        else "the noise of training is not known, as each method has one seed"
    )
    rows = []
    for row in panel.rows:
        found = row.contrast
        if math.isnan(found.value):
            rows.append((row.label, "undefined", "", "", "", "", found.note or row.verdict))
            continue
        both = _bounds(found.low, found.high) if found.known else ""
        detectable = number(found.detectable) if math.isfinite(found.detectable) else ""
        rows.append(
            (
                row.label,
                f"{found.value:+.3f}",
                _bounds(found.patients_low, found.patients_high),
                both,
                _p(row.p),
                detectable,
                row.verdict,
            )
        )
    return {"caption": f"{name}: difference to {panel.best} ({spread})", "rows": rows}


def _bounds(low: float, high: float) -> str:
    return f"{low:+.3f} to {high:+.3f}" if math.isfinite(low) and math.isfinite(high) else ""


def _p(value: float) -> str:
    if not math.isfinite(value):
        return ""
    return "<.001" if value < 5e-4 else number(value)


def failures(part: RunPart) -> list[str]:
    """Seeds that failed and predictions that are missing, with what they were counted as."""
    lines = []
    for row in part.run.board.rows:
        if row.failed:
            lines.append(f"{row.title}: {row.failed}")
        for line in row.lines:
            if line.filled:
                lines.append(
                    f"{row.title} ({line.source}): {line.filled} missing predictions took the "
                    "worst value"
                )
    return lines


def _remarks(part: RunPart) -> list[str]:
    board = part.run.board
    lines = deviations(board)
    for row in board.rows:
        if taken_from(row):
            lines.append(f"{row.title}: not trained, tested with the weights of {taken_from(row)}")
        if row.spent.get("diagnostics"):
            lines.append(f"{row.title}: {diagnostics(row.spent['diagnostics'])}")
    return lines


def _ranks(ranks) -> dict | None:
    if ranks is None:
        return None
    from benchmark.report.ranks import HEADINGS as RANK_HEADINGS
    from benchmark.report.ranks import closing, rank_rows

    return {"heads": RANK_HEADINGS, "rows": rank_rows(ranks), "closing": closing(ranks)}


def _claims(page) -> dict | None:
    if page is None:
        return None
    from benchmark.report import claims_text
    from benchmark.report.judging import NOT_JUDGED

    judged = [one for one in page.judged if one.verdict != NOT_JUDGED]
    waiting = [one for one in page.judged if one.verdict == NOT_JUDGED]
    # the claim itself stands first, so that it heads its row
    order = (1, 3, 0, 2, 4, 5, 6, 7, 8, 9)
    rows = [claims_text.claim_cells(one) for one in judged]
    remarks: dict[str, list[str]] = {}
    for one in judged:
        if one.note:
            remarks.setdefault(one.note, []).append(one.claim.name)
    return {
        "summary": claims_text.summary(page),
        "explanation": claims_text.EXPLANATION,
        "heads": [claims_text.HEADINGS[k] for k in order],
        "rows": [[row[k] for k in order] for row in rows],
        "open": [
            (one.claim.section, one.claim.says, ", ".join(one.missing) or one.note)
            for one in waiting
        ],
        "left_out": [(one.section, one.says, one.because) for one in page.left_out],
        "notes": [*page.notes, *(f"{', '.join(of)}: {note}" for note, of in remarks.items())],
    }
