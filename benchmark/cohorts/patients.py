"""Which scans are of one patient, as a run keeps it: by scan ids alone, nothing of the patient.

The split keeps all scans of a patient in one part; intervals draw whole patients. Both go by
`Record.patient`, and so by the same patients (`Cohort.patients`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmark.cohorts.base import Cohort

ALONE = "patients not known: each scan is taken for one"


@dataclass(frozen=True)
class Patients:
    """Whose scans some scans are.

    Attributes
    ----------
    together : tuple of (tuple of str)
        Ids of the scans of each patient who has several; all others are of a patient of their own.
    known : bool
        Whether the data say of every scan whose it is. Where they do not, a scan without a word
        stands for a patient.
    """

    together: tuple[tuple[str, ...], ...] = ()
    known: bool = True

    def numbers(self, ids: Sequence[str]) -> tuple[int, ...] | None:
        """Number of each scan's patient, from 0 in the order of the scans; None: nobody knows."""
        if not self.known and not self.together:
            return None
        first = {id: group[0] for group in self.together for id in group}
        # an id of a group and one of a scan alone never meet, as each id stands in one place
        found: dict[str, int] = {}
        return tuple(found.setdefault(first.get(id, id), len(found)) for id in ids)

    def count(self, ids: Sequence[str]) -> int:
        """Patients of these scans."""
        return max(self.numbers(ids) or range(len(ids)), default=-1) + 1

    def as_json(self) -> dict:
        """Plain values."""
        return {"known": self.known, "together": [list(group) for group in self.together]}


def patients_of(cohort: Cohort, ids: Iterable[str]) -> Patients:
    """Whose scans some scans of a cohort are."""
    whose = cohort.patients()
    groups: dict[str, list[str]] = {}
    known = True
    for id in dict.fromkeys(ids):
        if whose.get(id):
            groups.setdefault(whose[id], []).append(id)
        else:
            known = known and cohort.one_scan_a_patient
    together = sorted(tuple(sorted(group)) for group in groups.values() if len(group) > 1)
    return Patients(tuple(together), known)


def read_patients(values: object) -> Patients:
    """What `Patients.as_json` gave.

    Raises
    ------
    ValueError, TypeError, KeyError
        If it is not that, or a scan stands in two places.
    """
    if not isinstance(values, dict) or not isinstance(values["known"], bool):
        raise TypeError("patients are no mapping of known and together")
    together = values["together"]
    if not isinstance(together, list) or not all(isinstance(group, list) for group in together):
        raise TypeError("the scans of patients are no lists")
    ids = [id for group in together for id in group]
    if not all(isinstance(id, str) for id in ids):
        raise TypeError("a scan of a patient is no text")
    if len(set(ids)) < len(ids) or not all(together):
        raise ValueError("a scan is of two patients, or a patient without scans")
    return Patients(tuple(tuple(group) for group in together), values["known"])


def patients_in(plan: dict) -> Patients | None:
    """Whose scans the scans of a run are, by its plan; None for a run that did not keep it."""
    if "patients" in plan:
        return read_patients(plan["patients"])
    asked = plan.get("asked") or {}
    # the cohorts that this program makes have one scan a patient
    return Patients() if asked.get("own_scans") is False else None


def scans_in_words(plan: dict) -> str:
    """``"16 training and 56 test scans of 16 and 14 patients"``."""
    split = plan["split"]
    train, test = split["train"], split["test"]
    text = f"{len(train)} training and {len(test)} test scans"
    found = patients_in(plan)
    if found is None:
        return f"{text} (patients not kept: each scan is taken for one)"
    if not found.known and not found.together:
        return f"{text}, {ALONE}"
    some = "" if found.known else " (scans without a word each taken for a patient)"
    return f"{text} of {found.count(train)} and {found.count(test)} patients{some}"
