"""Which cohort a command works on, and the split of it that a tier uses."""

from __future__ import annotations

from collections.abc import Container, Sequence
from pathlib import Path

from benchmark.cohorts.base import Cohort, Record
from benchmark.cohorts.places import default_cache
from benchmark.cohorts.split import Split, subset
from benchmark.cohorts.split_choice import SplitChoice, choose_split
from benchmark.cohorts.told import Teller
from benchmark.errors import UserError
from benchmark.hidden.guard import refuse_hidden, refuse_hidden_labels
from benchmark.suites.schema import nearest

__all__ = ["COHORTS", "DATA", "default_cache", "open_cohort", "tier_split"]

COHORTS = {
    "phantom": "2,700 virtual patients in gated calcium scans, made on this machine",
    "phantom-wide": "the same people in chest CTs and on other scanners",
}
"""Cohorts by name; --data PATH takes the place of any."""

DATA = ("folder", "csv", "orcascore", "coca", "dicom", "nnunet")
"""Names that say in which format --data is; `benchmark.cohorts.formats.FORMATS` explains them."""

TRAINING_SHARE = 419 / 676
"""The paper's split, which gives 419 and 257 of 676 and the same share of any other cohort."""


def open_cohort(
    name: str = "phantom",
    data: Path | None = None,
    spacing: float | None = None,
    cache: Path | None = None,
    tell: bool = True,
) -> Cohort:
    """The cohort a command works on.

    Parameters
    ----------
    name : str
        One of `COHORTS`; or, with `data`, one of `DATA`, which forces the format.
    data : Path, optional
        Scans of one's own: a folder in any format of `DATA`, a CSV table or a cohort file.
    spacing : float, optional
        In-plane voxel size of the phantom in mm.
    cache : Path, optional
        Where made or converted scans are kept; by default below ``$XDG_CACHE_HOME`` or
        ``~/.cache``.
    tell : bool
        Whether what was passed over, and every warning of ``benchmark data check``, is said on
        stderr once it is noticed; False for a command that says it itself.

    Raises
    ------
    UserError
        If there is no such cohort, or the folder is not one, or its labels are hidden.
    """
    if data is not None:
        from benchmark.cohorts.formats import open_data

        if name not in DATA and name not in COHORTS:
            raise UserError(
                f"unknown cohort {name!r}{nearest(name, DATA)} (--data may be: {', '.join(DATA)})"
            )
        format = name if name in DATA else None
        refuse_hidden(data)
        cohort = open_data(data, format, cache or default_cache() / "folders")
        refuse_hidden_labels(cohort)
        if tell:
            cohort.tell = Teller(str(data))
            for line in cohort.passed_over:
                cohort.tell(line)
        return cohort
    if name in DATA:
        raise UserError(f"cohort {name!r} needs --data PATH, the place of the scans")
    if name not in COHORTS:
        raise UserError(
            f"unknown cohort {name!r}{nearest(name, COHORTS)} (there is: {', '.join(COHORTS)}; "
            f"for scans of your own use --data PATH, with {', '.join(DATA)} as names of formats)"
        )
    from benchmark.cohorts.phantom import PhantomCohort

    return PhantomCohort(spacing=spacing, cache=cache, name=name)


def tier_split(
    cohort: Cohort,
    train: int | None,
    test: int | None,
    exact: Container[str] = (),
    choice: SplitChoice | None = None,
) -> Split:
    """The cohort's split, or the stratified part of it that a tier uses.

    Parameters
    ----------
    cohort : Cohort
    train, test : int or None
        Scans the tier asks for; None takes all, or the cohort's usual numbers.
    exact : container of str
        "train" or "test", where the number was asked for by a person: then it must be there.
        Otherwise all there are is enough, as tiers are made for the phantom.
    choice : SplitChoice, optional
        How to split; by default as the cohort's own file says, else by risk category.

    Raises
    ------
    UserError
        If the cohort is too small, or cannot be split so.
    """
    records = cohort.records()
    if len(records) < 2:
        raise UserError(f"cohort {cohort.name}: {len(records)} scans cannot be split; add more")
    if train is None and test is None and cohort.usual is not None:
        train, test = cohort.usual
    choice = choice or getattr(cohort, "choice", None) or SplitChoice()
    whole = choose_split(records, choice, TRAINING_SHARE)
    if cohort.tell is not None:
        for line in split_remarks(cohort, records, whole, choice):
            cohort.tell(line)
    if train is not None and "train" not in exact:
        train = min(train, len(whole.train))
    if test is not None and "test" not in exact:
        test = min(test, len(whole.test))
    return subset(whole, records, train, test)


def split_remarks(
    cohort: Cohort, records: Sequence[Record], split: Split, choice: SplitChoice
) -> list[str]:
    """What somebody who asked for a split should know: scans in neither part, other content."""
    lines = []
    if choice.cohort and not cohort.fingerprint().startswith(choice.cohort):
        lines.append(
            f"{choice.saved}: was made of scans with other content (cohort {choice.cohort}, here "
            f"{cohort.fingerprint()[:16]}): ids are the same, but files, labels or centres changed"
        )
    left = sorted({record.id for record in records} - {*split.train, *split.test})
    if left:
        more = f" and {len(left) - 3} more" if len(left) > 3 else ""
        lines.append(
            f"{len(left)} scans are in neither part of the split ({', '.join(left[:3])}{more})"
        )
    return lines
