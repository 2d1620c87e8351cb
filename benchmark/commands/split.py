"""``benchmark split``."""

from __future__ import annotations

import re
from pathlib import Path

import click

from benchmark.commands.data import cohort_options, open_chosen, split_options
from benchmark.errors import UserError

PATH = click.Path(path_type=Path)


@click.command()
@cohort_options
@split_options
@click.option(
    "--out", type=PATH, metavar="FILE|FOLDER", help="Write split.json; of --hold-out: public part."
)
@click.option("--hold-out", is_flag=True, help="Hide the labels of the test part: host a board.")
@click.option("--hidden", type=PATH, metavar="FOLDER", help="Of --hold-out: for the hidden labels.")
@click.option(
    "--limit",
    metavar="N/DAYS",
    help="Of --hold-out: results of a team that are scored in so many days, as 5/7.",
)
def split(
    cohort, data, spacing, cache, train, test, workers, choice, out, hold_out, hidden, limit
) -> None:
    """Split the scans into training and test part; print it, or write it.

    \b
    benchmark split --data PATH --split by-patient --out split.json
    benchmark split --data PATH --hold-out --out PUBLIC --hidden HIDDEN

    The second writes two folders. PUBLIC holds the training part with labels and the test scans
    without: it may be given away. HIDDEN holds the labels of the test scans, for `benchmark
    evaluate --hidden` alone (see docs/hidden.md).
    """
    if hold_out and (out is None or hidden is None):
        raise UserError("--hold-out needs --out PUBLIC and --hidden HIDDEN, two new folders")
    if not hold_out and (hidden is not None or limit is not None):
        raise UserError("--hidden and --limit are for --hold-out")
    from benchmark.cohorts.split_choice import save_split
    from benchmark.runs.datasets import split_table
    from benchmark.runs.sources import tier_split

    bound = _limit(limit)
    chosen, display = open_chosen(cohort, data, spacing, cache)
    if hasattr(chosen, "check"):
        with display.counting(f"reading {chosen.name}") as progress:
            chosen.check(progress, workers)
    parts = tier_split(chosen, train, test, ("train", "test"), choice)
    for line in split_table(chosen, parts):
        display.say(line)
    display.say(f"split {parts.kind}, seed {parts.seed}: {parts.hash}")
    if not hold_out:
        if out is not None:
            save_split(parts, out, chosen.fingerprint())
            display.say(f"written: {out}")
        return
    from benchmark.cohorts.phantom import PhantomCohort
    from benchmark.hidden.hold_out import hold_out as write

    with display.counting(f"cohort {chosen.name}") as progress:
        chosen.prepare((*parts.train, *parts.test), progress, workers)
    with display.counting("writing scans") as progress:
        made = write(chosen, parts, out, hidden, bound, progress)
    if isinstance(chosen, PhantomCohort):
        display.say(
            "the phantom's labels can be made again by anybody: a board to try out, no more"
        )
    display.say(f"board {made.board}: {len(parts.test)} hidden test scans")
    display.say(f"public, to be given away: {out}")
    display.say(f"hidden, to be kept and backed up: {hidden}")


def _limit(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    found = re.fullmatch(r"\s*([1-9]\d{0,3})\s*/\s*([1-9]\d{0,3})\s*", text)
    if found is None:
        raise UserError(f"--limit {text}: write how many in how many days, as 5/7")
    return int(found[1]), int(found[2])
