"""Judged claims on a terminal, as Markdown and as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console

from benchmark.cohorts.patients import scans_in_words
from benchmark.metrics.verdict import CONTRADICTED, SUPPORTED, UNDECIDED, Contrast
from benchmark.report import markdown
from benchmark.report.board import heading
from benchmark.report.claims import LeftOut
from benchmark.report.consoles import TextTable
from benchmark.report.joined import Joined
from benchmark.report.judging import NOT_JUDGED, Judged

VERDICTS = (SUPPORTED, CONTRADICTED, UNDECIDED, NOT_JUDGED)
HEADINGS = (
    "section",
    "claim",
    "metric",
    "verdict",
    "first row",
    "to",
    "difference [95 %]",
    "p (Holm)",
    "detectable",
    "paper's",
    "by mean artery F1",
)


@dataclass(frozen=True, eq=False)
class ClaimsPage:
    """All that any form shows.

    Attributes
    ----------
    judged : tuple of Judged
    left_out : tuple of LeftOut
    facts : tuple of (str, str)
        Suite, scan, budget and so on.
    notes : tuple of str
    """

    judged: tuple[Judged, ...]
    left_out: tuple[LeftOut, ...]
    facts: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]


def claims_page(
    judged: Sequence[Judged], left_out: Sequence[LeftOut], joined: Joined
) -> ClaimsPage:
    """Judged claims with the conditions they were judged under."""
    plan = joined.plan
    cohort, split = plan["cohort"], plan["split"]
    facts = (
        ("cohort", f"{cohort['name']}, {cohort['fingerprint'][:12]}"),
        (
            "split",
            f"{scans_in_words(plan)}, {split['hash']}",
        ),
        ("budget", f"{plan['budget']} for each method, scale {plan['scale']}"),
        ("device", f"{plan['device']}, {plan['threads']} threads"),
        ("rows", ", ".join(joined.rows)),
    )
    notes = [_where(cohort["name"]), *joined.notes]
    if plan["scale"] == "smoke":
        notes.append("The smoke scale shows that everything runs; its verdicts mean nothing.")
    if any(one.contrast is not None and not one.contrast.known for one in judged):
        notes.append(
            "No method of these runs has two seeds: the noise of training is not known, so nothing "
            "is decided about methods (--seeds 2 or more)."
        )
    return ClaimsPage(tuple(judged), tuple(left_out), facts, tuple(notes))


def _where(cohort: str) -> str:
    if cohort.startswith("phantom"):
        return (
            "Judged on the phantom, which a program draws: the phantom is not the clinic. A claim "
            "that holds here may fail on patients, and one that fails here may hold."
        )
    return (
        f"Judged on cohort {cohort}, not on the paper's 676 scans, which are not public: a claim "
        "may hold on the one and fail on the other."
    )


EXPLANATION = (
    "Difference: in the direction of the claim, above 0 supports it; the interval counts test "
    "patients and the noise of training. Supported or contradicted: p below 0.05, adjusted after "
    "Holm over all judged claims. Detectable: the difference that such data find in 80 % of "
    "repetitions, before adjustment. Paper's: the same difference in its own tables. By mean "
    "artery F1: a claim on F1 whole judged by the mean of the F1 of LAD, LCX and RCA, adjusted "
    "among these alone; whole cannot see an artery taken for another."
)


def print_claims(page: ClaimsPage, console: Console) -> None:
    """Print a table of the judged, and a list of the others."""
    table = TextTable(padding=(0, 1))
    shown = (0, 1, 2, 3, 5, 6, 7, 9) if console.width >= 130 else (1, 3, 6, 7)
    for index in shown:
        fold = index == 1
        table.add_column(
            HEADINGS[index],
            justify="right" if index >= 7 else "left",
            no_wrap=not fold,
            overflow="fold",
            min_width=16 if fold else None,
        )
    rows = [one for one in page.judged if one.verdict != NOT_JUDGED]
    for one in rows:
        cells = claim_cells(one)
        table.add_row(*(cells[index] for index in shown))
    if rows:
        console.print(table)
    for line in closing(page):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def as_markdown(page: ClaimsPage) -> str:
    """All claims as a table, those not judged in a second one."""
    rows = [claim_cells(one) for one in page.judged if one.verdict != NOT_JUDGED]
    others = [
        (one.claim.section, one.claim.says, _reason(one), _paper(one))
        for one in page.judged
        if one.verdict == NOT_JUDGED
    ]
    parts = ["# The paper's claims", summary(page), page.notes[0]]
    if rows:
        parts.append(markdown.table(HEADINGS, rows, left=len(HEADINGS)))
    parts.append(EXPLANATION)
    if others:
        parts += [
            "## Not judged: rows are missing",
            markdown.table(("section", "claim", "missing", "paper's"), others, left=4),
        ]
    if page.left_out:
        parts += [
            "## Sentences that no run can judge",
            markdown.table(
                ("section", "sentence, in our words", "why"),
                [(one.section, one.says, one.because) for one in page.left_out],
            ),
        ]
    parts.append("## Notes")
    lines = [f"{name}: {text}" for name, text in page.facts] + list(page.notes[1:])
    lines += _remarks(page)
    parts.append(markdown.bullets(lines))
    return "\n\n".join(parts) + "\n"


def as_json(page: ClaimsPage) -> str:
    """Everything; undefined numbers are null."""
    values = {
        "facts": dict(page.facts),
        "notes": list(page.notes),
        "counts": counts(page),
        "claims": [_json(one) for one in page.judged],
        "left_out": [one.__dict__ for one in page.left_out],
    }
    return json.dumps(values, indent=1, allow_nan=False) + "\n"


def claim_cells(one: Judged) -> tuple[str, ...]:
    """The texts of one judged claim under `HEADINGS`."""
    found = one.contrast
    metric = heading(one.claim.column) + (f" less {one.claim.than}" if one.claim.than else "")
    detectable = f"{found.detectable:.3f}" if math.isfinite(found.detectable) else ""
    return (
        one.claim.section,
        one.claim.says,
        metric,
        one.verdict,
        str(one.claim.rows[0]),
        one.against,
        _difference(found),
        _p(one.p),
        detectable,
        _paper(one),
        _of_arteries(one.arteries),
    )


def _of_arteries(one: Judged | None) -> str:
    """``"undecided, +0.012 [-0.003 to +0.027]"``, or nothing for claims on other figures."""
    if one is None:
        return ""
    found = _difference(one.contrast)
    why = f" ({one.note})" if found == "undefined" and one.note else ""
    return f"{one.verdict}, {found}{why}"


def closing(page: ClaimsPage) -> list[str]:
    """The lines under the table on a terminal."""
    lines = [summary(page), EXPLANATION, *page.notes]
    width = max(len(name) for name, _ in page.facts)
    lines += [f"{name:<{width}}  {text}" for name, text in page.facts]
    lines += _remarks(page)
    for one in page.judged:
        if one.verdict == NOT_JUDGED:
            lines.append(f"not judged: {one.claim.name} ({one.claim.says}): {_reason(one)}")
    if page.left_out:
        lines.append(
            f"{len(page.left_out)} sentences of the paper can be judged by no run "
            "(--format markdown lists them with the reasons)"
        )
    return lines


def counts(page: ClaimsPage) -> dict[str, int]:
    """Number of claims by verdict."""
    return {name: sum(one.verdict == name for one in page.judged) for name in VERDICTS}


def summary(page: ClaimsPage) -> str:
    """``"33 claims: 10 supported, 2 contradicted, 15 undecided, 6 not judged"``."""
    parts = ", ".join(f"{count} {name}" for name, count in counts(page).items())
    return f"{len(page.judged)} claims: {parts}"


def _remarks(page: ClaimsPage) -> list[str]:
    """Seeds, reasons and what patients alone would say, claim by claim."""
    judged = [one for one in page.judged if one.verdict != NOT_JUDGED]
    lines = []
    by_seeds: dict[tuple[int, ...], list[str]] = {}
    for one in judged:
        by_seeds.setdefault(one.seeds, []).append(one.claim.name)
    for seeds, names in by_seeds.items():
        word = "seed" if len(seeds) == 1 else "seeds"
        which = "all judged claims" if len(by_seeds) == 1 else ", ".join(names)
        lines.append(f"{word} {', '.join(map(str, seeds))}: {which}")
    alone: dict[str, list[str]] = {}
    for one in judged:
        if one.patients_only:
            alone.setdefault(one.patients_only, []).append(one.claim.name)
    for found, names in alone.items():
        lines.append(
            f"{found} for these trained networks alone (patients' interval, not adjusted): "
            f"{', '.join(names)}"
        )
    lines += [f"{one.claim.name}: {one.note}" for one in judged if one.note]
    return lines


def _reason(one: Judged) -> str:
    return f"no {', '.join(one.missing)}" if one.missing else one.note


def _difference(found: Contrast) -> str:
    if math.isnan(found.value):
        return "undefined"
    text = f"{found.value:+.3f}"
    if math.isfinite(found.low):
        text += f" [{found.low:+.3f} to {found.high:+.3f}]"
    return text


def _p(p: float) -> str:
    if not math.isfinite(p):
        return ""
    return "<.001" if p < 5e-4 else f"{p:.3f}"


def _paper(one: Judged) -> str:
    return "" if one.paper is None else f"{one.paper:+.3f}"


def _json(one: Judged) -> dict:
    claim = one.claim
    values = {
        "name": claim.name,
        "section": claim.section,
        "says": claim.says,
        "kind": claim.kind,
        "metric": " ".join(claim.column),
        "than": claim.than,
        "value": claim.value,
        "within": claim.within,
        "rows": [str(side) for side in claim.rows],
        "table": claim.table,
        "verdict": one.verdict,
        "against": one.against,
        "p_holm": one.p,
        "paper": one.paper,
        "seeds": list(one.seeds),
        "missing": list(one.missing),
        "patients_only": one.patients_only,
        "note": one.note,
        "by_mean_artery_f1": None if one.arteries is None else _json_arteries(one.arteries),
    }
    if one.contrast is not None:
        found = one.contrast
        values |= {
            "difference": found.value,
            "low": found.low,
            "high": found.high,
            "patients_low": found.patients_low,
            "patients_high": found.patients_high,
            "p": found.p,
            "seed_se": found.seed_se,
            "training_noise_known": found.known,
            "detectable": found.detectable,
            "n": found.n,
            "patients": found.patients,
        }
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in values.items()
    }


def _json_arteries(one: Judged) -> dict:
    names = ("verdict", "against", "p_holm", "paper", "patients_only", "note", "difference", "low",
             "high", "patients_low", "patients_high", "detectable")  # fmt: skip
    values = _json(one)
    return {name: values.get(name) for name in names}
