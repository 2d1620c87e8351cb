"""The main table for LaTeX and as a picture."""

import io
import re
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from benchmark.page.main_table import as_latex, draw_table, escape, write_picture
from benchmark.report.leaderboard import make_board
from benchmark.runs.finished import FinishedRun, read_cells


@pytest.fixture(scope="module")
def board(tiny_outcome):
    run = FinishedRun(tiny_outcome.folder, tiny_outcome.plan)
    return make_board(run.plan, read_cells(run))


def test_every_row_of_the_latex_table_has_all_columns(board):
    text = as_latex(board)
    columns = len(re.search(r"\\begin\{tabular\}\{([lr]+)\}", text)[1])
    body = text.partition("\\midrule")[2].partition("\\bottomrule")[0]
    rows = [row for row in body.split("\\\\") if row.strip()]
    assert len(rows) == 2 * sum(len(row.lines) for row in board.rows)
    for row in rows:
        assert len(re.findall(r"(?<!\\)&", row)) == columns - 1
    for command in ("toprule", "midrule", "bottomrule", "caption", "label"):
        assert text.count(f"\\{command}") == 1
    assert "\\textbf{" in text


def test_a_method_that_failed_spans_the_columns(board):
    failed = replace(board.rows[0], lines=(), failed="out of memory (50 % of 2_000)")
    text = as_latex(replace(board, rows=(failed, *board.rows[1:])))
    assert r"out of memory (50 \% of 2\_000)" in text
    assert "\\multicolumn{9}{p{" in text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a_b & 5 % #1 {x}", r"a\_b \& 5 \% \#1 \{x\}"),
        ("\\input{/etc}", r"\textbackslash{}input\{/etc\}"),
        ("$x^2$ ~", r"\$x\textasciicircum{}2\$ \textasciitilde{}"),
        (".8–.9\nnext", ".8--.9 next"),
        ("é ß ≥ ﬁ ł 界", "é ß $\\geq$ fi ? ?"),
    ],
)
def test_texts_are_escaped(text, shown):
    assert escape(text) == shown


def test_the_picture_is_as_wide_as_a_slide_and_all_of_it_is_inside(board, tmp_path):
    write_picture(board, tmp_path / "a.png")
    picture = Image.open(io.BytesIO((tmp_path / "a.png").read_bytes()))
    assert picture.size[0] in range(1990, 2010)
    grey = np.asarray(picture.convert("L"))
    for edge in (grey[:8], grey[-8:], grey[:, :8], grey[:, -8:]):
        assert edge.min() > 250


def test_texts_of_the_picture_do_not_overlap(board):
    long = replace(board.rows[0], title="A name that is much longer than any column $x_1$")
    figure = draw_table(replace(board, rows=(long, *board.rows[1:] * 4)))
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.texts if text.get_text().strip()]
    assert len(boxes) > 50
    for k, one in enumerate(boxes):
        for other in boxes[k + 1 :]:
            across = min(one.x1, other.x1) - max(one.x0, other.x0)
            down = min(one.y1, other.y1) - max(one.y0, other.y0)
            assert across <= 1 or down <= 6, (one, other)


LATEX = shutil.which("pdflatex") or shutil.which("tectonic")


@pytest.mark.skipif(
    LATEX is None,
    reason="no LaTeX: apt-get install texlive-latex-base texlive-latex-recommended, or tectonic",
)
def test_the_table_compiles(board, tmp_path):
    """With booktabs alone, and with every letter that LaTeX gives a meaning."""
    hostile = replace(board.rows[0], title="A_b & 50 % #1 {x} \\input ~ $y^2$ – − ★ ≈ ≥ é ß µ 界")
    failed = replace(board.rows[1], lines=(), failed="out of memory: 50 % of 2_000 & more")
    whole = replace(board, rows=(hostile, failed, *board.rows[2:], *board.rows))
    document = (
        "\\documentclass[twocolumn]{article}\n\\usepackage[margin=2cm]{geometry}\n"
        "\\usepackage{booktabs}\n\\begin{document}\n"
        + as_latex(board)
        + as_latex(whole)
        + "\\end{document}\n"
    )
    (tmp_path / "table.tex").write_text(document, encoding="utf-8")
    more = ["-halt-on-error", "-interaction=nonstopmode"] if "pdflatex" in LATEX else []
    done = subprocess.run(
        [LATEX, *more, "table.tex"], cwd=tmp_path, capture_output=True, text=True, errors="replace"
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert (tmp_path / "table.pdf").stat().st_size > 5000
    wide = [line for line in done.stdout.splitlines() if line.startswith("Overfull")]
    assert not wide, wide
