"""Make a leaderboard from a run's plan and its kept cells."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from benchmark.cohorts.patients import scans_in_words
from benchmark.methods import is_reference, ranked
from benchmark.metrics.verdict import contrast
from benchmark.report import paper
from benchmark.report.ablations import JUDGED, compare_to_bases
from benchmark.report.against import beside_references
from benchmark.report.board import (
    TARGETS,
    Board,
    Column,
    Line,
    Row,
    heading,
    interval,
    number,
)
from benchmark.report.devices import device_classes, one_machine, without_costs_of_device
from benchmark.report.measure import (
    Measured,
    differences_to_best,
    figures_of,
    marks,
    measure,
)
from benchmark.report.mixture import refuse_mixture
from benchmark.report.noise import UNKNOWN, Noise, lends, pool
from benchmark.report.origin import origin_facts, origin_notes, origins
from benchmark.report.reliance import few_patients
from benchmark.report.searches import how_tuned, what_was_chosen
from benchmark.report.spent import slowed
from benchmark.runs.joined_plan import described, formats_in_words, places_of
from benchmark.runs.store import KeptCell
from benchmark.training.settings import COUNTED, Budget

RANKED: tuple[Column, ...] = (
    *((metric, target) for metric in ("F1", "sensitivity", "PPV") for target in TARGETS),
    ("F1", "mean"),
    *((f"{m}_{s}", t) for s in ("AS", "VS", "MS") for m in ("ICC", "PCC", "MAE") for t in TARGETS),
    ("ICC", "mean"),
    ("PCC", "mean"),
    ("kappa", "whole"),
)
"""Columns in which the best ranked method is marked."""


def make_board(plan: dict, cells: Iterable[KeptCell]) -> Board:
    """The leaderboard of a run.

    Parameters
    ----------
    plan : dict
        Contents of plan.json.
    cells : iterable of KeptCell
        All cells of the plan, failed ones too.

    Raises
    ------
    UserError
        If cells of unlike budgets, recipes, splits or cohorts would stand on one board, or not
        one cell finished.
    """
    cells = tuple(cells)
    refuse_mixture(plan, cells)
    finished = [cell for cell in cells if cell.state == "finished"]
    pattern = finished[0] if finished else None
    rows, measured = [], []
    for method in plan["methods"]:
        own = [cell for cell in cells if cell.method == method["name"]]
        lines, figures = _lines(method, own, pattern, plan.get("paper_table"))
        measured.append(figures)
        rows.append((method, own, lines))
    noise = pool(
        (line.source, figures)
        for (method, own, lines), several in zip(rows, measured, strict=True)
        if lends(method, own)
        for line, figures in zip(lines, several, strict=True)
    )
    _add_marks(rows, measured, noise)
    made = tuple(_row(method, own, lines, plan) for method, own, lines in rows)
    from_others = origins(plan, cells)
    made = tuple(replace(r, notes=(*from_others.get(r.name, ()), *r.notes)) for r in made)
    if not one_machine(finished):
        made = tuple(replace(row, spent=without_costs_of_device(row.spent)) for row in made)
    sources = [[line.source for line in lines] for _, _, lines in rows]
    return Board(
        suite=plan["suite"],
        title=plan["title"],
        scale=plan["scale"],
        rows=made,
        facts=(
            *_facts(plan, finished),
            *origin_facts(plan),
            *_spread(rows, measured, noise),
            *_noise(plan, noise),
        ),
        notes=(
            *few_patients(made),
            *origin_notes(plan),
            *what_was_chosen(finished),
            *_notes(plan, finished),
        ),
        columns=RANKED,
        ablations=compare_to_bases(plan["methods"], sources, measured, noise),
        against=beside_references(plan["methods"], sources, measured, noise),
    )


def _lines(
    method: dict, cells: list[KeptCell], pattern: KeptCell | None, table: str | None
) -> tuple[list[Line], list[Measured]]:
    if not any(cell.state == "finished" for cell in cells):
        return [], []
    printed = paper.figures(method["paper"], table)
    lines, measured = [], []
    for source in ("mask", "head"):
        if source in method["outputs"]:
            figures, filled = measure(cells, source, pattern)
            lines.append(Line(source, figures_of(figures, printed), filled))
            measured.append(figures)
    return lines, measured


def _add_marks(rows: list[tuple], measured: list[list[Measured]], noise: Noise) -> None:
    """Mark the best among ranked methods, and set every line's differences to the best F1."""
    places = [
        (row, line)
        for row, (method, _, lines) in enumerate(rows)
        for line in range(len(lines))
        if ranked(method)
    ]
    found = marks(
        [measured[row][line] for row, line in places],
        [rows[row][2][line].source for row, line in places],
        RANKED,
        noise,
    )
    for (row, line), own in zip(places, found, strict=True):
        rows[row][2][line].marks.update(own)
    rivals = [measured[row][line] for row, line in places]
    for (_, _, lines), own in zip(rows, measured, strict=True):
        gaps = differences_to_best(own, rivals, found)
        for place, (whole, arteries) in enumerate(gaps):
            lines[place] = replace(lines[place], difference=whole, difference_arteries=arteries)


def _row(method: dict, cells: list[KeptCell], lines: list[Line], plan: dict) -> Row:
    failed = [cell for cell in cells if cell.state == "failed"]
    reasons = dict.fromkeys(cell.reason for cell in failed)
    text = "; ".join(reasons)
    if failed and lines:
        seeds = ", ".join(str(cell.seed) for cell in failed)
        text = f"seed {seeds} (counted as missing every scan): {text}"
    notes = dict.fromkeys(note for cell in cells for note in cell.notes)
    if Budget.parse(plan["settings"]["budget"]).unit == "device-seconds":
        notes.update(dict.fromkeys(note for c in cells for note in slowed(c.seed, c.ledger)))
    spent = _spent(cells, plan["settings"].get("learning_rate"))
    if spent.get("weights_from") and "joined" not in plan:
        # cells are shared by runs, in which the base may have another title
        titles = {entry["name"]: entry["title"] for entry in plan["methods"]}
        spent["weights_from"] = titles.get(method["base"], spent["weights_from"])
    return Row(
        method["name"],
        method["title"],
        method["trained"],
        tuple(lines),
        text,
        tuple(notes),
        spent,
        is_reference(method),
    )


def _spent(cells: list[KeptCell], rate: float | None) -> dict:
    """Ledger values as means over the seeds that finished; stages of the first of them."""
    ledgers = [cell.ledger for cell in cells if cell.state == "finished"]
    if not ledgers:
        return {}
    means = {}
    for name, first in ledgers[0].items():
        if isinstance(first, int | float) and not isinstance(first, bool):
            values = [ledger.get(name) for ledger in ledgers]
            means[name] = float(np.mean([v for v in values if isinstance(v, int | float)]))
    stages = [dict(stage) for stage in ledgers[0].get("stages") or ()]
    for stage in stages:
        if rate and isinstance(stage.get("learning_rate"), int | float):
            stage["learning_rate_multiple"] = round(stage["learning_rate"] / rate, 6)
    return {
        **means,
        "stages": stages,
        "diagnostics": ledgers[0].get("diagnostics") or {},
        "weights_from": ledgers[0].get("weights_from") or "",
    }


def _widths(settings: dict) -> str:
    own = settings.get("widths") or {}
    return f", width of {', '.join(f'{k} {v}' for k, v in own.items())}" if own else ""


def _budget(budget: str) -> str:
    """What of a training the budget counts, in words."""
    if Budget.parse(budget).unit in COUNTED:
        return (
            f"{budget} of learning from whole scans for each method; pretraining and heads on kept "
            "features are counted apart"
        )
    return f"{budget} for each method, pretraining included"


def _facts(plan: dict, finished: list[KeptCell]) -> list[tuple[str, str]]:
    split, cohort = plan["split"], plan["cohort"]
    settings = plan["settings"]
    ledgers = [cell.ledger for cell in finished]
    facts = [
        ("cohort", f"{cohort['name']}, {cohort['scans']} scans, {cohort['fingerprint'][:12]}"),
        (
            "split",
            f"{scans_in_words(plan)}, {split['hash']}",
        ),
        ("budget", _budget(plan["budget"])),
        ("tuning", how_tuned(plan)),
        ("seeds", ", ".join(str(seed) for seed in plan["seeds"])),
        (
            "recipe",
            f"cells {' x '.join(f'{c:g}' for c in settings['cell_mm'])} mm, width "
            f"{settings['width']}, batch {settings['batch_size']}, {settings['optimiser']} "
            f"{settings['learning_rate']:g} {settings['schedule']}, {formats_in_words(plan)}"
            + _widths(settings)
            + _options(settings),
        ),
        ("device", _devices(plan)),
        ("machine", _together(ledgers, "device_name", "platform")),
        ("versions", _versions(ledgers, plan)),
        ("commit", _together(ledgers, "git_commit")),
    ]
    return [(name, text) for name, text in facts if text]


def _options(settings: dict) -> str:
    """What changes time and memory of a step, where it was asked for."""
    mode = settings.get("compile", "none")
    parts = [f"compiled ({mode})"] if mode != "none" else []
    if settings.get("activation_checkpointing"):
        parts.append("activations checkpointed")
    return "".join(f", {part}" for part in parts)


def _devices(plan: dict) -> str:
    """Device and threads; all of them where the board is of several runs."""
    places = dict.fromkeys(places_of(plan).values()) or [(plan["device"], plan["threads"])]
    return " | ".join(described(place) for place in places)


def _together(ledgers: list[dict], *names: str) -> str:
    """What the ledgers say; several machines on one board are all named."""
    found = dict.fromkeys(
        ", ".join(str(ledger[name]) for name in names if ledger.get(name)) for ledger in ledgers
    )
    return " | ".join(text for text in found if text)


def _versions(ledgers: list[dict], plan: dict) -> str:
    versions: dict[str, dict[str, None]] = {"benchmark": {str(plan.get("version")): None}}
    for ledger in ledgers:
        entries = {**(ledger.get("versions") or {}), "python": ledger.get("python")}
        for name, version in entries.items():
            if version:
                versions.setdefault(name, {})[str(version)] = None
    return ", ".join(f"{name} {'/'.join(found)}" for name, found in versions.items())


def _notes(plan: dict, finished: list[KeptCell]) -> tuple[str, ...]:
    notes = dict.fromkeys(plan["cohort"]["notes"])
    for cell in finished:
        notes.update(dict.fromkeys(cell.data_notes))
    classes = device_classes(finished)
    if len(classes) > 1:
        notes[
            f"Runs were made on {len(classes)} kinds of device ({', '.join(classes)}): their "
            "device-seconds, times and memory are not compared, and are left out."
        ] = None
    elif not one_machine(finished):
        notes[
            "Runs were made with unlike numbers of threads: their device-seconds, times and memory "
            "are not compared, and are left out."
        ] = None
    if plan["scale"] == "smoke":
        notes["The smoke scale shows that everything runs; its figures rank nothing."] = None
    if not paper.tables():
        notes["The paper's figures (results/paper/tables.csv) were not found: no brackets."] = None
    return tuple(notes)


def _spread(
    rows: list[tuple], measured: list[list[Measured]], noise: Noise
) -> list[tuple[str, str]]:
    """Best and worst ranked segmentation network, with the paired interval of the difference."""
    texts = {
        "spread": _between(rows, measured, noise, ("F1", "whole")),
        "spread, arteries": _between(rows, measured, noise, ("F1", "mean")),
    }
    return [(name, text) for name, text in texts.items() if text]


def _between(
    rows: list[tuple], measured: list[list[Measured]], noise: Noise, column: Column
) -> str:
    """The spread in one figure; nothing with fewer than two networks."""
    found = [
        (own[0][column].value, method["title"], own[0][column])
        for (method, _, _), own in zip(rows, measured, strict=True)
        if ranked(method)
        and method.get("retrain", True)
        and own
        and column in own[0]
        and np.isfinite(own[0][column].value)
    ]
    if len(found) < 2:
        return ""
    high, low = max(found, key=lambda f: f[0]), min(found, key=lambda f: f[0])
    own = noise.get(("mask", column), UNKNOWN)
    gap = contrast([(1, high[2], own), (-1, low[2], own)])
    ends = f"{heading(column)} from {number(low[0])} ({low[1]}) to {number(high[0])} ({high[1]})"
    if not np.isfinite([gap.low, gap.high]).all():
        return f"{ends}; no difference is told: {gap.note}"
    over = "over patients and trainings" if gap.known else "over patients alone"
    return (
        f"{ends}: difference "
        f"{number(gap.value)} ({interval(gap)}, paired, {over}); such data find a difference of "
        f"{number(gap.detectable)} in 80 % of repetitions"
    )


def _noise(plan: dict, noise: Noise) -> list[tuple[str, str]]:
    """How far other seeds alone move a figure of the board."""
    if len(plan["seeds"]) < 2:
        return [("seed noise", "not measured with one seed (--seeds 3)")]
    count = len(plan["seeds"])
    parts = []
    for source, column in (*JUDGED.items(), ("mask", ("F1", "mean"))):
        sd = noise.get((source, column), UNKNOWN).sd
        if np.isfinite(sd):
            moved = number(1.96 * np.sqrt(2 / count) * sd)
            parts.append(f"{heading(column)} ({source}) {moved}")
    if not parts:
        return []
    text = f"other {count} seeds move a mean over {count}, in 95 %, by up to: {', '.join(parts)}"
    return [("seed noise", text)]
