"""Judge the paper's claims on finished runs: statistics here, forms in `claims_text`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from benchmark.metrics import Replicates
from benchmark.metrics.consistency import AGREEMENT, INSIDE, agreement_figures, inside_figures
from benchmark.metrics.overlap import MEAN_F1
from benchmark.metrics.replicates import SCORE_NAMES
from benchmark.metrics.verdict import (
    UNDECIDED,
    Contrast,
    SeedNoise,
    combine,
    contrast,
    decide,
    pooled_noise,
)
from benchmark.report import paper
from benchmark.report.board import TARGETS
from benchmark.report.claims import Claim, Side
from benchmark.report.joined import Joined, JoinedRow
from benchmark.report.measure import measure

NOT_JUDGED = "not judged"


@dataclass(frozen=True)
class Judged:
    """A claim and what the runs say of it.

    Attributes
    ----------
    claim : Claim
    verdict : str
        "supported", "contradicted", "undecided" or "not judged".
    contrast : Contrast or None
        What was found, positive in the direction of the claim: difference to the second row, to
        the best rival, between two gains, or to a threshold. None if not judged.
    p : float
        Of the claim as a whole, adjusted after Holm over all judged claims; NaN if undefined.
    paper : float or None
        The same difference in the paper's own tables.
    seeds : tuple of int
        Those that all rows have.
    against : str
        The row or threshold that the difference is to.
    missing : tuple of str
        Rows that the runs lack.
    patients_only : str
        The verdict if training made no difference: that of these networks on other patients.
    note : str
    arteries : Judged or None
        The same claim judged by the mean of the three arteries' F1, where it speaks of F1 whole:
        what the paper does not print, and what whole cannot see. These are a family of their own,
        so that they move no verdict on the paper's sentences.
    """

    claim: Claim
    verdict: str
    contrast: Contrast | None = None
    p: float = float("nan")
    paper: float | None = None
    seeds: tuple[int, ...] = ()
    against: str = ""
    missing: tuple[str, ...] = ()
    patients_only: str = ""
    note: str = ""
    arteries: Judged | None = None


def judge(claims: Sequence[Claim], joined: Joined) -> tuple[Judged, ...]:
    """Judge every claim whose rows are all there.

    Parameters
    ----------
    claims : sequence of Claim
    joined : Joined
        From `joined.join`.

    Returns
    -------
    tuple of Judged
        In the order of the claims.
    """
    bench = _Bench(joined)
    answers = _judge(claims, bench)
    places = [k for k, claim in enumerate(claims) if claim.column == ("F1", "whole")]
    of_arteries = _judge([replace(claims[k], column=MEAN_F1) for k in places], bench)
    for place, own in zip(places, of_arteries, strict=True):
        if own.verdict != NOT_JUDGED:
            answers[place] = replace(answers[place], arteries=own)
    return tuple(answers)


def _judge(claims: Sequence[Claim], bench: _Bench) -> list[Judged]:
    """Judge claims as one family."""
    answers, statements = [], {}
    for place, claim in enumerate(claims):
        judged, parts = _one(claim, bench)
        answers.append(judged)
        if parts:
            statements[place] = parts
    for place, decision in zip(statements, decide(tuple(statements.values())), strict=True):
        undecided = decision.verdict == UNDECIDED
        answers[place] = replace(
            answers[place],
            verdict=decision.verdict,
            p=decision.p,
            patients_only=_patients_only(statements[place]) if undecided else "",
        )
    return answers


@dataclass
class _Bench:
    """Figures of the joined rows, each computed once."""

    joined: Joined
    kept: dict = field(default_factory=dict)

    def figure(self, row: JoinedRow, source: str, claim: Claim, seeds: tuple[int, ...]):
        """The figure of a claim for one row, better if higher; None if the row lacks it."""
        if claim.kind == "gain":
            here = self._column(row, source, claim.column, seeds)
            there = self._column(row, source, (claim.column[0], claim.than), seeds)
            if here is None or there is None:
                return None
            return combine([(claim.sign, here), (-claim.sign, there)])
        found = self._column(row, source, claim.column, seeds)
        return found if found is None or claim.sign > 0 else combine([(-1, found)])

    def noise(self, source: str, claim: Claim) -> SeedNoise:
        """Spread over seeds of the claim's figure from that source, pooled over the board."""
        key = ("noise", source, claim.column, claim.than)
        if key not in self.kept:
            rows = [
                row
                for row in self.joined.rows.values()
                if row.trains and not row.failed and _gives(row, source) and len(row.cells) > 1
            ]
            figures = [self.figure(row, source, claim, tuple(row.cells)) for row in rows]
            self.kept[key] = pooled_noise(figure for figure in figures if figure is not None)
        return self.kept[key]

    def _column(self, row, source, column, seeds) -> Replicates | None:
        metric = column[0].partition("_")[0]
        kind = metric if metric in (AGREEMENT, INSIDE) else "board"
        # shares inside are made for one target at a time: claims ask for few
        key = (kind, row.method["name"], source, seeds, column[1] if kind == INSIDE else "")
        if key not in self.kept:
            cells, pattern = [row.cells[seed] for seed in seeds], self.joined.pattern
            if kind == "board":
                self.kept[key] = measure(cells, source, pattern)[0]
            elif kind == INSIDE:
                scores = _scores(cells, source, pattern)
                self.kept[key] = inside_figures(
                    pattern.reference, scores, targets=column[1:], patients=pattern.patients
                )
            else:
                mask, head = (_scores(cells, one, pattern) for one in ("mask", "head"))
                self.kept[key] = agreement_figures(
                    pattern.reference, mask, head, patients=pattern.patients
                )
        return self.kept[key].get(column)


def _gives(row: JoinedRow, source: str) -> bool:
    wanted = {"mask", "head"} if source == "both" else {source}
    return wanted <= set(row.method["outputs"])


def _scores(cells, source: str, pattern) -> np.ndarray:
    """(s, n, 3, 4), NaN for a seed that failed."""
    nothing = np.full(pattern.reference.shape, np.nan)
    own = [getattr(cell, source) for cell in cells]
    return np.stack([nothing if scores is None else scores for scores in own])


def _one(claim: Claim, bench: _Bench) -> tuple[Judged, list[Contrast]]:
    """A claim before its verdict, and the parts to decide by; none if it cannot be judged."""
    own = paper_difference(claim)
    rows, missing = [], []
    for side in claim.rows:
        row = bench.joined.find(side.method)
        if row is None:
            missing.append(str(side))
        elif not _gives(row, side.source):
            missing.append(f"{side}: gives no {side.source}")
        else:
            rows.append((side, row))
    if missing:
        return Judged(claim, NOT_JUDGED, paper=own, missing=tuple(missing)), []
    seeds = tuple(s for s in rows[0][1].cells if all(s in row.cells for _, row in rows))
    if not seeds:
        have = "; ".join(f"{side}: {', '.join(map(str, row.cells))}" for side, row in rows)
        note = f"no seed that all rows have ({have})"
        return Judged(claim, NOT_JUDGED, paper=own, note=note), []
    parts = _parts(claim, rows, seeds, bench)
    place = min(range(len(parts)), key=lambda k: np.nan_to_num(parts[k][0].value, nan=-np.inf))
    shown, against = parts[place]
    if claim.kind == "about":
        shown, against = _to_value(claim, rows, seeds, bench), f"{claim.value:g}"
    notes = [shown.note] if shown.note else []
    for side, row in rows:
        if row.failed:
            lost = ", ".join(str(seed) for seed in row.failed)
            notes.append(f"{side}: seed {lost} failed, counted as missing every scan")
    judged = Judged(
        claim,
        UNDECIDED,
        contrast=shown,
        paper=own,
        seeds=seeds,
        against=against,
        note="; ".join(dict.fromkeys(notes)),
    )
    return judged, [part for part, _ in parts]


def _parts(claim, rows, seeds, bench) -> list[tuple[Contrast, str]]:
    """What must be above 0 for the claim to hold, and what each is a difference to."""
    terms = []
    for side, row in rows:
        figure = bench.figure(row, side.source, claim, seeds)
        terms.append((figure, bench.noise(side.source, claim) if row.varies else None, side))
    (first, noise, _), rest = terms[0], terms[1:]
    if claim.kind == "level":
        threshold = claim.sign * claim.value
        return [(contrast([(1, first, noise)], -threshold), f"{claim.value:g}")]
    if claim.kind == "about":
        low, high = claim.value - claim.within, claim.value + claim.within
        return [
            (contrast([(1, first, noise)], -low), f"{low:g}"),
            (contrast([(-1, first, noise)], high), f"{high:g}"),
        ]
    return [
        (contrast([(1, first, noise), (-1, figure, other)]), str(side))
        for figure, other, side in rest
    ]


def _to_value(claim, rows, seeds, bench) -> Contrast:
    """Difference to the value that a figure is claimed to be about."""
    side, row = rows[0]
    figure = bench.figure(row, side.source, claim, seeds)
    noise = bench.noise(side.source, claim) if row.varies else None
    return contrast([(1, figure, noise)], -claim.value)


def _patients_only(parts: list[Contrast]) -> str:
    """The verdict by the intervals over patients alone, not adjusted; empty if undecided."""
    if all(part.patients_low > 0 for part in parts):
        return "supported"
    return "contradicted" if any(part.patients_high < 0 for part in parts) else ""


def paper_difference(claim: Claim) -> float | None:
    """The claim's difference in the paper's own tables; None where it prints no such figure."""
    values = [_printed(side, claim) for side in claim.rows]
    if not values or any(value is None for value in values):
        return None
    first, rest = values[0], values[1:]
    if claim.kind in ("level", "about"):
        return claim.sign * (first - claim.value)
    return min(claim.sign * (first - value) for value in rest)


def _printed(side: Side, claim: Claim) -> float | None:
    """The printed figure of a row; a mean of 12 ICCs where only those are printed."""
    from benchmark.methods import find

    model = dict(claim.paper).get(side.method) or find(side.method).paper
    figures = paper.tables().get((claim.table, model), {})
    metric, target = claim.column
    if claim.kind == "gain":
        here, there = figures.get(claim.column), figures.get((metric, claim.than))
        return None if here is None or there is None else here - there
    if (metric, target) in figures or target != "mean":
        return figures.get((metric, target))
    twelve = [figures.get((f"{metric}_{s}", t)) for s in SCORE_NAMES for t in TARGETS]
    return None if None in twelve else float(np.mean(twelve))
