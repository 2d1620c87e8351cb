"""The main leaderboard outside the page: LaTeX for a paper, a picture for slides."""

from __future__ import annotations

import textwrap
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.page.tables import MARKS, Cell, TableRow, heads, table_rows
from benchmark.report.board import LED_BY, TARGETS, Board, Column
from benchmark.report.reliance import counted_scans, few_patients, sample

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAIN: tuple[Column, ...] = (
    *(("F1", target) for target in TARGETS[:3]),
    *LED_BY,
    ("ICC_AS", "whole"),
    ("ICC", "mean"),
    ("kappa", "whole"),
)
"""Columns of the main table."""

_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "–": "--",
    "−": "$-$",
    "★": r"$\star$",
    "≈": r"$\approx$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "×": r"$\times$",
    "±": r"$\pm$",
    "→": r"$\to$",
    "µ": r"$\mu$",
    "λ": r"$\lambda$",
    "ω": r"$\omega$",
    "²": "$^2$",
    "³": "$^3$",
    "…": r"\dots{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}

SHORT = {("F1", "mean"): "mean F1"}
"""Heads that would be too wide here."""

EXPLANATION = (
    "95 % intervals over {sample} below each figure. Mean F1: of LAD, LCX and RCA. Bold: best; ≈: "
    "not told apart from the best (the paired interval of the difference, trainings counted, holds "
    "0)."
)


def _columns(board: Board) -> list[tuple[int, str]]:
    """Place among the cells and head of each column of `MAIN` that the board has."""
    places = {
        column: (place, SHORT.get(column, head.text))
        for place, (column, head) in enumerate(heads(board))
    }
    return [places[column] for column in MAIN if column in places]


def _facts(board: Board) -> str:
    wanted = ("cohort", "split", "budget", "seeds")
    return "; ".join(f"{name}: {text}" for name, text in board.facts if name in wanted)


def _explanation(board: Board) -> str:
    few = few_patients(board.rows)
    if few:
        return few[0]
    scans = counted_scans(*sample(board.rows)).replace(" scan", " test scan", 1)
    return EXPLANATION.format(sample=scans)


def as_latex(board: Board) -> str:
    """The main table for the package booktabs, with caption and label.

    The text compiles as it is with ``\\usepackage{booktabs}``; every text of the run is escaped. It
    is about 17 cm wide, for both columns of a page.
    """
    columns = _columns(board)
    lines = [
        "% needs \\usepackage{booktabs}; 17 cm wide",
        "\\begin{table*}",
        "\\centering",
        "\\footnotesize\\setlength{\\tabcolsep}{3pt}",
        f"\\caption{{{escape(board.title)}. {escape(_explanation(board))} "
        f"{escape(_facts(board))}.}}",
        f"\\label{{tab:{''.join(c for c in board.suite if c.isalnum() or c == '-')}}}",
        f"\\begin{{tabular}}{{ll{'r' * len(columns)}}}",
        "\\toprule",
        " & ".join(["method", "from", *(escape(head) for _, head in columns)]) + r" \\",
        "\\midrule",
    ]
    for row in table_rows(board):
        title = escape(row.title)
        if len(row.title) > 22:
            title = f"\\parbox[t]{{3.4cm}}{{\\raggedright {title}}}"
        if not row.cells:
            text = escape(row.remark)
            width = f"{{{len(columns) + 1}}}{{p{{0.6\\textwidth}}}}"  # a long reason is wrapped
            lines.append(f"{title} & \\multicolumn{width}{{\\raggedright {text}}} \\\\")
            continue
        cells = [row.cells[place] for place, _ in columns]
        lines.append(" & ".join([title, row.source, *map(_latex_cell, cells)]) + r" \\")
        bounds = [f"{{\\scriptsize {escape(c.bounds)}}}" if c.bounds else "" for c in cells]
        lines.append(" & ".join(["", "", *bounds]) + r" \\")
    lines += ["\\bottomrule", "\\end{tabular}", "\\end{table*}"]
    return "\n".join(lines) + "\n"


def _latex_cell(cell: Cell) -> str:
    text = escape(cell.text)
    text = f"$-${text[1:]}" if text.startswith("-") else text
    if cell.mark == "best":
        return f"\\textbf{{{text}}}"
    return text + ("$\\approx$" if cell.mark == "tied" else "")


def escape(text: str) -> str:
    """Text as LaTeX prints it; a letter that pdfLaTeX cannot print becomes ``?``, not an error."""
    return "".join(_LATEX.get(letter) or _printable(letter) for letter in " ".join(text.split()))


def _printable(letter: str) -> str:
    if letter.isascii() or ("À" <= letter <= "ÿ" and letter not in "ÐðÞþ÷"):
        return letter if letter.isprintable() else "?"
    plain = unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode()
    return plain if plain.isalnum() else "?"


def draw_table(board: Board) -> Figure:
    """The main table as a figure of a slide's shape, 16 to 9 or taller if there are many rows."""
    from benchmark.figures.style import INK, PALE, QUIET, new_figure, styled

    columns, rows = _columns(board), table_rows(board)
    width = 13.33  # inches, the width of a slide
    step, head, foot = 0.46, 1.35, 0.75
    height = max(7.5, head + foot + step * len(rows))
    step = (height - head - foot) / max(len(rows), 1) if height == 7.5 else step
    step = min(step, 0.6)
    with styled():
        figure = new_figure(width, height)
        figure.set_layout_engine("none")

        def write(x: float, y: float, text: str, size: float = 13, **more) -> None:
            # a dollar sign would begin mathematics
            more = {"ha": "left", "va": "center", "color": INK, "parse_math": False, **more}
            figure.text(x / width, 1 - y / height, text, fontsize=size, **more)

        def rule(y: float, colour: str, thick: float) -> None:
            from matplotlib.lines import Line2D

            at = 1 - y / height
            figure.add_artist(
                Line2D([0.35 / width, 1 - 0.35 / width], [at, at], color=colour, linewidth=thick)
            )

        write(0.4, 0.42, board.title, 20, fontweight="bold")
        left, right = 4.6, width - 0.45
        ends = [left + (right - left) * (k + 1) / len(columns) for k in range(len(columns))]
        write(0.4, head - 0.3, "method", fontweight="bold")
        write(3.55, head - 0.3, "from", fontweight="bold")
        for x, (_, text) in zip(ends, columns, strict=True):
            two = "\n".join(text.rsplit(" ", 1))
            write(x, head - 0.37, two, 12, fontweight="bold", ha="right")
        rule(head - 0.05, INK, 1.2)
        for place, row in enumerate(rows):
            y = head + step * (place + 0.5)
            _draw_row(write, row, [row.cells[k] for k, _ in columns] if row.cells else [], ends, y)
            rule(head + step * (place + 1), PALE, 0.6)
        below = textwrap.wrap(_explanation(board).replace("Bold:", "★ bold:"), 165)
        for up, text in enumerate(reversed(below)):
            write(0.4, height - 0.45 - 0.18 * up, text, 10, color=QUIET)
        facts = _facts(board)
        write(0.4, height - 0.2, facts, 8 * min(1, 215 / len(facts)) if facts else 8, color=QUIET)
    return figure


def _draw_row(write, row: TableRow, cells: list[Cell], ends: list[float], y: float) -> None:
    # what tells two titles apart may stand at the end
    title = row.title if len(row.title) <= 30 else f"{row.title[:15]}…{row.title[-14:]}"
    write(0.4, y, title)
    if not cells:
        write(3.55, y, row.remark[:110], 10)
        return
    write(3.55, y, row.source)
    for x, cell in zip(ends, cells, strict=True):
        sign = MARKS[cell.mark][0] if cell.mark else ""
        weight = "bold" if cell.mark == "best" else "normal"
        up = 0.09 if cell.bounds else 0.0
        write(x, y - up, sign + cell.text, ha="right", fontweight=weight)
        if cell.bounds:
            write(x, y + 0.13, cell.bounds, 8.5, ha="right", color="#6E6E6E")


def write_picture(board: Board, path: Path) -> None:
    """Write the main table as PNG, 2000 pixels wide."""
    import io

    from benchmark.figures.style import styled, write_all

    buffer = io.BytesIO()
    with styled():
        draw_table(board).savefig(buffer, format="png", dpi=150, metadata={"Software": None})
    write_all({path: buffer.getvalue()})
