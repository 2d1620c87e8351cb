"""The leaderboard as files: CSV in long form, Markdown, JSON, and all predictions per scan."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from benchmark.report import ablations, against, markdown
from benchmark.report.board import (
    LED_BY,
    Ablation,
    Against,
    Board,
    Column,
    Figure,
    Line,
    Row,
    heading,
    interval,
    number,
    with_paper,
)
from benchmark.report.spent import HEADINGS, spent_cells
from benchmark.report.terminal import (
    AGREEMENT,
    MORE,
    OVERLAP,
    OVERLAP_TITLE,
    TO_BEST,
    footer,
)
from benchmark.runs.store import KeptCell
from benchmark.whole import write_text

_SCORES = ("agatston", "volume", "mass")
_TARGETS = ("LAD", "LCX", "RCA", "whole")


def write_files(board: Board, plan: dict, cells: Iterable[KeptCell], folder: Path) -> list[Path]:
    """Write a board and its predictions into a run's folder.

    Parameters
    ----------
    board : Board
    plan : dict
        Contents of plan.json, which lies in the folder already.
    cells : iterable of KeptCell
    folder : Path

    Returns
    -------
    list of Path
        The files written.
    """
    texts = {
        "leaderboard.md": as_markdown(board),
        "leaderboard.csv": as_csv(board),
        "leaderboard.json": as_json(board),
        "per_scan.csv": per_scan(cells),
    }
    for name, text in texts.items():
        write_text(folder / name, text)
    return [folder / name for name in texts]


def as_csv(board: Board) -> str:
    """Long form: one line a method, source, metric and target."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        "method source metric target value low high seed_sd n note paper patients".split()
    )
    for row in board.rows:
        if not row.lines:
            writer.writerow([row.name, *[""] * 8, f"failed: {row.failed}", "", ""])
        for line in row.lines:
            for (metric, target), figure in line.figures.items():
                values = (figure.value, figure.low, figure.high, figure.seed_sd)
                writer.writerow(
                    [
                        row.name,
                        line.source,
                        metric,
                        target,
                        *map(_plain, values),
                        figure.n,
                        figure.note,
                        _plain(figure.paper),
                        "" if figure.patients is None else figure.patients,
                    ]
                )
    return out.getvalue()


def as_json(board: Board) -> str:
    """Everything on the board; undefined numbers are null."""
    values = {
        "suite": board.suite,
        "title": board.title,
        "scale": board.scale,
        "facts": dict(board.facts),
        "notes": list(board.notes),
        "methods": [_json_row(row) for row in board.rows],
        "ablations": [_json_ablation(ablation) for ablation in board.ablations],
        "references": [_json_against(one) for one in board.against],
    }
    return json.dumps(values, indent=1, allow_nan=False) + "\n"


def as_markdown(board: Board) -> str:
    """Readable tables with intervals and the paper's figures."""
    suite, scale = markdown.text(board.suite), markdown.text(board.scale)
    parts = [f"# {markdown.text(board.title)}", f"Suite {suite}, scale {scale}."]
    tables = {
        OVERLAP_TITLE: OVERLAP,
        "Scores against the reference": AGREEMENT,
        **MORE,
    }
    for title, columns in tables.items():
        parts += [f"## {title}", _markdown_table(board, columns, title == OVERLAP_TITLE)]
        if title == OVERLAP_TITLE and board.against:
            parts.append("## References: what a network is more than")
            rows = map(against.against_cells, board.against)
            parts.append(markdown.table(against.HEADINGS, rows, left=len(against.HEADINGS)))
    if board.ablations:
        parts.append("## Ablations: difference to the base")
        rows = map(ablations.ablation_cells, board.ablations)
        parts.append(markdown.table(ablations.HEADINGS, rows, left=2))
    parts.append("## Spent by each method (mean over seeds)")
    rows = [spent_cells(row) for row in board.rows if row.trained]
    parts.append(markdown.table(HEADINGS, rows, left=2))
    parts.append("## Notes")
    parts.append(markdown.bullets(footer(board)))
    return "\n\n".join(parts) + "\n"


def per_scan(cells: Iterable[KeptCell]) -> str:
    """Every method, seed and test scan: 12 reference scores, estimates, overlap volumes (mm3).

    Last the number of the scan's patient, where that is known.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    kinds = ("reference", "mask", "head")
    volumes = ("tp", "fp", "fn")
    writer.writerow(
        ["method", "seed", "scan"]
        + [f"{kind}_{score}_{target}" for kind in kinds for score in _SCORES for target in _TARGETS]
        + [f"{volume}_mm3_{target}" for volume in volumes for target in _TARGETS]
        + ["patient"]
    )
    for cell in cells:
        for index, id in enumerate(cell.ids):
            values: list[str] = []
            for kind in kinds:
                array = getattr(cell, kind)
                values += [""] * 12 if array is None else map(_plain, array[index].reshape(-1))
            for volume in volumes:
                array = getattr(cell, volume)
                values += [""] * 4 if array is None else map(_plain, array[index])
            patient = "" if cell.patients is None else cell.patients[index] + 1
            writer.writerow([cell.method, cell.seed, id, *values, patient])
    return out.getvalue()


def _markdown_table(board: Board, columns: tuple[Column, ...], with_difference: bool) -> str:
    led = LED_BY if with_difference else ()
    head = ["method", "from", *map(heading, columns), *(TO_BEST[column] for column in led)]
    rows = []
    for row in board.rows:
        if not row.lines:
            rows.append((row.title, f"failed: {row.failed}", *[""] * (len(head) - 2)))
        for count, line in enumerate(row.lines):
            if not any(column in line.figures for column in columns):
                continue
            cells = [_markdown_cell(line, column) for column in columns]
            for column in led:
                gap = line.to_best(column)
                cells.append(f"{number(gap.value)} [{interval(gap)}]" if gap else "")
            rows.append((row.title if count == 0 else "", line.source, *cells))
    return markdown.table(head, rows, words=2, left=2)


def _markdown_cell(line: Line, column: Column) -> str:
    figure = line.figures.get(column)
    if figure is None:
        return ""
    text = with_paper(figure, column[0])
    bounds = interval(figure, column[0])
    mark = line.marks.get(column)
    text = f"**{text}**" if mark == "best" else text
    return text + (" ~" if mark == "tied" else "") + (f" [{bounds}]" if bounds else "")


def _plain(value: float | None) -> str:
    if value is None or not math.isfinite(value):
        return ""
    return f"{value:.6g}"


def _json_row(row: Row) -> dict:
    return {
        "name": row.name,
        "title": row.title,
        "trained": row.trained,
        "reference": row.reference,
        "failed": row.failed,
        "notes": list(row.notes),
        "spent": _finite(row.spent),
        "lines": [
            {
                "source": line.source,
                "filled": line.filled,
                "difference_F1_whole": _json_figure(line.difference),
                "difference_F1_mean": _json_figure(line.difference_arteries),
                "figures": {
                    f"{metric} {target}": {
                        **_json_figure(figure),
                        "mark": line.marks.get((metric, target), ""),
                    }
                    for (metric, target), figure in line.figures.items()
                },
            }
            for line in row.lines
        ],
    }


def _json_ablation(ablation: Ablation) -> dict:
    differences = {
        f"{metric} {target}": {**asdict(gap), "detectable": gap.detectable}
        for (metric, target), gap in ablation.differences.items()
    }
    values = {**ablation.__dict__, "judged": " ".join(ablation.judged)}
    return _finite({**values, "differences": differences})


def _json_against(one: Against) -> dict:
    gap = None if one.gap is None else {**asdict(one.gap), "detectable": one.gap.detectable}
    values = {
        "name": one.name,
        "title": one.title,
        "figure": " ".join(one.column),
        **{key: getattr(one.figure, key) for key in ("value", "low", "high", "n", "note")},
        "best": one.best,
        "best_less_it": gap,
        "above": one.above,
        "not_told_apart": one.level,
        "below": one.below,
    }
    return _finite(values)


def _json_figure(figure: Figure | None) -> dict | None:
    if figure is None:
        return None
    return _finite(asdict(figure))


def _finite(value):
    """The same values with null for every number that JSON cannot write."""
    if isinstance(value, dict):
        return {name: _finite(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
