"""The page of finished runs: what its templates need, from the runs' content."""

from __future__ import annotations

import math

from benchmark.page.agreement import categories, limits_table
from benchmark.page.content import Content, RunPart
from benchmark.page.differences import Panel
from benchmark.page.file import pack, page_file
from benchmark.page.tables import GROUPS, MARKS, heads, table_rows
from benchmark.report import ablations, against
from benchmark.report.board import number
from benchmark.report.reliance import counted_scans, reliance_lines, sample
from benchmark.report.spent import HEADINGS, diagnostics, spent_cells, taken_from
from benchmark.report.terminal import TO_BEST, deviations

MOST_SCANS_TABLE = 3_000_000
"""Bytes that a packed table of scans may have; a larger one is named, not embedded."""


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
    views, packed = {}, {}
    for part in content.parts:
        view = _view(part)
        table = pack(part.scans)
        if len(table) <= MOST_SCANS_TABLE:
            view["embedded"] = True
            packed[f"{part.run.key}-csv"] = table
        views[part.run.key] = view
    return page_file(
        "page.html.j2",
        {key: view["data"] for key, view in views.items()},
        packed,
        content=content,
        views=views,
        groups=GROUPS,
        marks=MARKS,
        categories=categories(),
        spent_heads=HEADINGS,
        ablation_heads=ablations.HEADINGS,
        reference_heads=against.HEADINGS,
        to_best=TO_BEST,
        claims=_claims(content.shared.claims),
        ranks=_ranks(content.shared.ranks),
    )


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
        "reliance": reliance_lines(board),
        "scans": counted_scans(*sample(board.rows)).replace(" scan", " test scan", 1),
        "bases": [
            ablations.explanation(base) for base in dict.fromkeys(a.base for a in board.ablations)
        ],
        "led": sum(column in TO_BEST for column, _ in columns),
        "reference_lines": against.as_lines(board),
        "against": [against.against_cells(one) for one in board.against],
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
        both = bounds_text(found.low, found.high) if found.known else ""
        detectable = number(found.detectable) if math.isfinite(found.detectable) else ""
        rows.append(
            (
                row.label,
                f"{found.value:+.3f}",
                bounds_text(found.patients_low, found.patients_high),
                both,
                ablations.p_text(row.p),
                detectable,
                row.verdict,
            )
        )
    return {"caption": f"{name}: difference to {panel.best} ({spread})", "rows": rows}


def bounds_text(low: float, high: float) -> str:
    """``-0.010 to +0.030``, or nothing."""
    return f"{low:+.3f} to {high:+.3f}" if math.isfinite(low) and math.isfinite(high) else ""


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
    order = (1, 3, 0, 2, 4, 5, 6, 7, 8, 9, 10)
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
