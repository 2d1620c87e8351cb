"""What people call things is printed as it is: on the terminal, in Markdown, in pictures."""

import ast
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

import benchmark
from benchmark.report import markdown
from benchmark.report.compare import compare
from benchmark.report.compare_text import as_markdown as compare_markdown
from benchmark.report.compare_text import print_comparison
from benchmark.report.files import as_markdown
from benchmark.report.joined import join
from benchmark.report.leaderboard import make_board
from benchmark.report.ranks import as_markdown as ranks_markdown
from benchmark.report.ranks import make_ranks, print_ranks
from benchmark.report.terminal import print_board
from benchmark.runs.finished import FinishedRun, find_run

NAMES = ("Net [/data/a.pt]", "Net [bold]b[/]", ":smile: $x_i$ [red]")


@pytest.fixture
def named_run(make_run, tmp_path):
    """A run of three methods whose titles would be markup."""
    outcome, _ = make_run()
    path = outcome.folder / "plan.json"
    plan = json.loads(path.read_text())
    for method, title in zip(plan["methods"], NAMES, strict=False):
        method["title"] = title
    path.write_text(json.dumps(plan))
    return find_run(str(outcome.folder), tmp_path)


def printed(show, *arguments):
    # a console that would read markup
    console = Console(file=io.StringIO(), width=250)
    show(*arguments, console)
    return console.file.getvalue()


def test_brackets_in_titles_are_printed(named_run):
    from benchmark.runs.finished import read_cells

    cells = read_cells(named_run)
    board = make_board(named_run.plan, cells)
    failed = replace(board.rows[0], lines=(), failed="why [/not]")
    broken = replace(board, rows=(failed, *board.rows[1:]))
    for text in (printed(print_board, board), printed(print_board, broken)):
        assert all(name in text for name in NAMES)
    assert all(name in printed(print_ranks, make_ranks(join([named_run]))) for name in NAMES)
    found = compare(named_run, FinishedRun(named_run.folder, named_run.plan))
    assert all(name in printed(print_comparison, found) for name in NAMES)


def test_markdown_shows_what_is_there(named_run):
    from benchmark.runs.finished import read_cells

    board = make_board(named_run.plan, read_cells(named_run))
    nasty = replace(board.rows[0], title="a|b <b>c</b> *d* `e` [f](g)\nh")
    text = as_markdown(replace(board, rows=(nasty, *board.rows[1:])))
    assert "a\\|b &lt;b>c&lt;/b> \\*d\\* \\`e\\` [f\\](g) h" in text
    widths = {line.count(" | ") for line in text.split("## Spent")[1].splitlines() if "| " in line}
    assert len(widths) == 1
    for found in (ranks_markdown(make_ranks(join([named_run]))),):
        assert "Net [/data/a.pt]" in found
    found = compare(named_run, named_run)
    assert "Net [/data/a.pt]" in compare_markdown(found)


def test_plain_words_stay_as_they_are_in_markdown():
    words = "MMWFAnet gates [coronal], lambda_inter 1e-05, p < .05 * best, ~ 3, R&D, a\\b"
    assert markdown.text(words) == words


def test_a_dollar_sign_in_a_title_is_no_formula():
    from benchmark.figures.style import new_figure, styled

    with styled():
        figure = new_figure(3, 2)
        figure.suptitle("Net $x_{$ \\frac")
        figure.draw_without_rendering()


def test_consoles_and_tables_are_made_in_one_place():
    """Elsewhere texts would be read as markup again."""
    root = Path(benchmark.__file__).parent
    for path in root.rglob("*.py"):
        if path == root / "report" / "consoles.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "id", getattr(node.func, "attr", ""))
                assert name not in ("Table", "from_markup", "render_markup"), path
                assert name != "Console" or path.name == "together.py", path
                plain = any(k.arg == "markup" and not k.value.value for k in node.keywords)
                assert name != "TextColumn" or plain, path
