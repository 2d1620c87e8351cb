"""Ranks of a run's methods by each task and by both, never without the figures themselves.

Scores are of one source for all: heads where every method that gives scores by itself has one, and
masks otherwise. A head learns the scores, a mask is scored voxel by voxel: in one rank, what is
told apart would be the two ways and not the methods.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.console import Console

from benchmark.methods import ranked
from benchmark.metrics import Estimate, JointRanking, Ranking, joint_ranking, rank_methods
from benchmark.metrics.overlap import MEAN_F1
from benchmark.metrics.ranking import NO_RANKS, undefined_like
from benchmark.report import markdown
from benchmark.report.ablations import JUDGED
from benchmark.report.consoles import TextTable
from benchmark.report.joined import Joined
from benchmark.report.measure import measure
from benchmark.report.reliance import counted_scans

TASKS = {
    "segmentation": "F1 whole",
    "scores": "mean ICC of the 12 scores",
    "arteries": "mean of the F1 of LAD, LCX and RCA",
}


@dataclass(frozen=True, eq=False)
class Ranks:
    """Ranks of the trained methods of one or several runs.

    Attributes
    ----------
    titles : tuple of str, length k
    sources : tuple of str
        Where each method's scores are taken from: the same for all that have a rank, see
        `source_of_scores`; empty for a method that lacks it.
    segmentation, scores : Ranking
        By F1 whole, and by the mean ICC of the 12 scores.
    arteries : Ranking
        By the mean of the three arteries' F1: whole cannot see an artery taken for another.
    joint : JointRanking
        By the weighted mean of F1 whole and the mean ICC.
    seeds : tuple of int
        Those that all methods have; only these count.
    notes : tuple of str
    """

    titles: tuple[str, ...]
    sources: tuple[str, ...]
    segmentation: Ranking
    scores: Ranking
    arteries: Ranking
    joint: JointRanking
    seeds: tuple[int, ...]
    notes: tuple[str, ...]


def make_ranks(joined: Joined) -> Ranks:
    """Rank all trained methods but references, with the seeds that all of them have.

    Parameters
    ----------
    joined : Joined
        Of one run or several.
    """
    rows = [row for row in joined.rows.values() if ranked(row.method)]
    seeds = tuple(s for s in (rows[0].cells if rows else ()) if all(s in r.cells for r in rows))
    notes = list(joined.notes)
    if rows and not seeds:
        # ranks within one seed need all methods; without a common seed each counts with its own
        notes.append("no seed that all methods have: each counts with its own, without tau")
    masks, arteries, scores, sources = [], [], [], []
    source, why = source_of_scores([row.method["outputs"] for row in rows])
    notes += [why] * bool(why)
    for row in rows:
        cells = [row.cells[seed] for seed in seeds or row.cells]
        measured = {one: measure(cells, one, joined.pattern)[0] for one in row.method["outputs"]}
        masks.append(measured["mask"][JUDGED["mask"]] if "mask" in measured else None)
        arteries.append(measured["mask"][MEAN_F1] if "mask" in measured else None)
        scores.append(measured[source][JUDGED["head"]] if source in measured else None)
        sources.append(source if source in measured else "")
        if row.failed:
            lost = ", ".join(map(str, row.failed))
            notes.append(f"{row.method['title']}: seed {lost} failed, counted as missing all")
    return Ranks(
        tuple(row.method["title"] for row in rows),
        tuple(sources),
        _ranked(masks, NO_LABELS),
        _ranked(scores, f"the method gives no scores by its {source}"),
        _ranked(arteries, NO_LABELS),
        joint_ranking(masks, scores),
        seeds,
        tuple(notes),
    )


def source_of_scores(outputs: Sequence[Sequence[str]]) -> tuple[str, str]:
    """Where the scores of all methods are taken from, and a sentence where some lack it.

    Parameters
    ----------
    outputs : sequence of (sequence of str)
        "mask", "head" or both, of each method.

    Returns
    -------
    source : str
        "head" if all have one, else "mask" if all have one, else what most have, "mask" of equals.
    note : str
    """
    having = {one: sum(one in own for own in outputs) for one in ("mask", "head")}
    source = "head" if having["head"] == len(outputs) else "mask"
    if having["mask"] < len(outputs) and having["head"] > having["mask"]:
        source = "head"
    lacking = len(outputs) - having[source]
    if not lacking:
        mixed = source == "mask" and having["head"]
        text = "scores of all methods are those of the mask, as not all have a head"
        return source, text if mixed else ""
    return source, (
        f"scores are those of the {source}, which {lacking} of {len(outputs)} methods "
        f"{'lacks' if lacking == 1 else 'lack'}: without a rank by scores"
    )


def _ranked(figures: list, why: str) -> Ranking:
    """Rank those that have the figure; the others stand as undefined."""
    known = next((figure for figure in figures if figure is not None), None)
    if known is None:
        return rank_methods([])
    absent = undefined_like(known, why)
    return rank_methods([absent if figure is None else figure for figure in figures])


NO_LABELS = "the method gives no labels"

HEADINGS = (
    "method",
    "mean artery F1",
    "rank [95 %]",
    "by seed",
    "F1 whole",
    "rank [95 %]",
    "by seed",
    "scores from",
    "mean ICC",
    "rank [95 %]",
    "by seed",
    "both, equally",
    "rank [95 %]",
    "over all weights",
)
NARROWER = (
    (0, 1, 2, 4, 5, 7, 8, 9, 11, 12),
    (0, 1, 2, 4, 5, 11, 12),
    (0, 2, 11, 12, 13),
    (0, 2, 12),
)
"""Fewer columns for narrow terminals: without the ranks by seed, then the single tasks."""


def rank_rows(ranks: Ranks) -> list[tuple[str, ...]]:
    """The texts under `HEADINGS`, best of both tasks first."""
    order = sorted(
        range(len(ranks.titles)),
        key=lambda k: tuple(
            x if math.isfinite(x) else math.inf
            for x in (
                ranks.joint.equal.rank[k],
                _nth(ranks.arteries.rank, k),
                _nth(ranks.segmentation.rank, k),
                _nth(ranks.scores.rank, k),
            )
        ),
    )
    return [
        (
            ranks.titles[k],
            *_ranking_cells(ranks.arteries, k),
            *_ranking_cells(ranks.segmentation, k),
            ranks.sources[k],
            *_ranking_cells(ranks.scores, k),
            *_ranking_cells(ranks.joint.equal, k)[:2],
            _span(ranks.joint.low[k], ranks.joint.high[k]),
        )
        for k in order
    ]


def closing(ranks: Ranks) -> list[str]:
    """The lines under the table."""
    known = [f for f in (*ranks.scores.figures, *ranks.segmentation.figures) if f.n]
    over = f" ({counted_scans(known[0].n, known[0].patients)})" if known else ""
    if ranks.scores.note == NO_RANKS:
        return [f"{NO_RANKS}{over}; the figures stand alone", *ranks.notes]
    lines = [
        f"Rank 1 is best; its 95 % interval is over test patients{over}, beside it the rank within "
        "each seed. Overlapping intervals of the figures say more than the ranks do.",
        "Masks are ranked by the mean of the F1 of LAD, LCX and RCA, and by F1 whole, which cannot "
        "see an artery taken for another. Both, equally: F1 whole and mean ICC.",
    ]
    for name, ranking in (
        ("mean artery F1", ranks.arteries),
        ("F1 whole", ranks.segmentation),
        ("mean ICC", ranks.scores),
        ("both, equally", ranks.joint.equal),
    ):
        text = f"{ranking.mean_tau:.2f}" if math.isfinite(ranking.mean_tau) else ranking.note
        lines.append(f"Kendall's tau between seeds, {name}: {text.removeprefix('tau ')}")
    for low, high, place in ranks.joint.leaders:
        lines.append(f"weight of F1 {low:.2f} to {high:.2f}: {ranks.titles[place]} leads")
    missing = [
        f"{title}: {figure.note}"
        for title, figure in zip(ranks.titles, ranks.arteries.figures, strict=False)
        if not figure.is_defined and figure.n and figure.note != NO_LABELS
    ]
    lines += [f"no rank by mean artery F1: {text}" for text in missing]
    if ranks.seeds:
        lines.append(f"seeds {', '.join(map(str, ranks.seeds))}")
    return [*lines, *ranks.notes]


def print_ranks(ranks: Ranks, console: Console) -> None:
    """Print the table, on narrow terminals with fewer columns."""
    rows = rank_rows(ranks)
    for shown in (range(len(HEADINGS)), *NARROWER):
        table = TextTable(padding=(0, 1))
        for index in shown:
            words = index in (0, 7)
            table.add_column(HEADINGS[index], justify="left" if words else "right", no_wrap=True)
        for row in rows:
            table.add_row(*(row[index] for index in shown))
        wide = console.options.update(max_width=10_000)
        if table.__rich_measure__(console, wide).maximum <= console.width:
            break
    console.print(table)
    for line in closing(ranks):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def as_markdown(ranks: Ranks) -> str:
    """The table and what stands under it."""
    return markdown.table(HEADINGS, rank_rows(ranks)) + f"\n\n{markdown.bullets(closing(ranks))}\n"


def as_json(ranks: Ranks) -> str:
    """Everything; undefined numbers are null."""
    methods = []
    for k, title in enumerate(ranks.titles):
        methods.append(
            {
                "title": title,
                "scores_from": ranks.sources[k],
                "segmentation": _json(ranks.segmentation, k),
                "scores": _json(ranks.scores, k),
                "arteries": _json(ranks.arteries, k),
                "both": _json(ranks.joint.equal, k)
                | {
                    "best_rank_over_weights": _plain(ranks.joint.low[k]),
                    "worst_rank_over_weights": _plain(ranks.joint.high[k]),
                    "rank_by_weight": [_plain(x) for x in ranks.joint.ranks[:, k]],
                },
            }
        )
    values = {
        "tasks": TASKS,
        "seeds": list(ranks.seeds),
        "weights_of_segmentation": ranks.joint.weights.tolist(),
        "tau": {
            "segmentation": _plain(ranks.segmentation.mean_tau),
            "scores": _plain(ranks.scores.mean_tau),
            "arteries": _plain(ranks.arteries.mean_tau),
            "both": _plain(ranks.joint.equal.mean_tau),
        },
        "leaders": [
            {"from": low, "to": high, "method": ranks.titles[place]}
            for low, high, place in ranks.joint.leaders
        ],
        "methods": methods,
        "notes": list(ranks.notes),
    }
    return json.dumps(values, indent=1, allow_nan=False) + "\n"


def _ranking_cells(ranking: Ranking, k: int) -> tuple[str, str, str]:
    if k >= len(ranking.rank):
        return "", "", ""
    figure: Estimate = ranking.figures[k]
    text = figure.as_text().replace(" to ", "–") if figure.is_defined else ""
    if math.isnan(ranking.rank[k]):  # a figure may stand without a rank, and never the reverse
        return text, "", ""
    by_seed = ", ".join(f"{rank:g}" for rank in ranking.by_seed[:, k])
    spread = f" [{ranking.low[k]:g}–{ranking.high[k]:g}]"
    return text, f"{ranking.rank[k]:g}{spread}", by_seed


def _span(low: float, high: float) -> str:
    return "" if math.isnan(low) else f"{low:g}–{high:g}"


def _nth(values: Iterable[float], k: int) -> float:
    own = list(values)
    return float(own[k]) if k < len(own) else math.nan


def _json(ranking: Ranking, k: int) -> dict:
    if k >= len(ranking.rank):
        return {}
    figure = ranking.figures[k]
    return {
        "value": _plain(figure.value),
        "low": _plain(figure.low),
        "high": _plain(figure.high),
        "scans": figure.n,
        "patients": figure.patients,
        "note": figure.note,
        "rank": _plain(ranking.rank[k]),
        "rank_low": _plain(ranking.low[k]),
        "rank_high": _plain(ranking.high[k]),
        "share_first": _plain(ranking.first[k]),
        "rank_by_seed": [_plain(x) for x in ranking.by_seed[:, k]],
    }


def _plain(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
