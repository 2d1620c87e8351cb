"""What figures were made under; those of other conditions are not compared."""

from __future__ import annotations

from dataclasses import dataclass

from benchmark.cohorts.base import Cohort
from benchmark.cohorts.split import Split
from benchmark.errors import UserError
from benchmark.metrics import METRICS_VERSION
from benchmark.runs.request import chosen_methods, chosen_scale
from benchmark.suites.load import load_suite
from benchmark.suites.schema import Scale, Suite
from benchmark.training.settings import Budget

DEVICE, THREADS = "cpu", 1
"""On a CPU and in one thread: two checks on one machine then agree bit for bit."""


@dataclass(frozen=True)
class Watched:
    """A suite that is checked.

    Attributes
    ----------
    name : str
        As it was asked for: a suite's name or file.
    suite : Suite
    scale : Scale
    cohort : Cohort
    split : Split
    """

    name: str
    suite: Suite
    scale: Scale
    cohort: Cohort
    split: Split

    @property
    def conditions(self) -> dict:
        """Plain values. Options of a network count as the suite states them: a changed default in
        its class is a change that has to be judged, not one that makes figures incomparable."""
        rows = (*self.suite.methods, *self.suite.references)
        settings = self.scale.settings.as_dict()
        return {
            "suite": self.suite.name,
            "scale": self.scale.name,
            "methods": [method.name for method in rows],
            "options of methods": {m.name: m.options for m in rows if m.options},
            **{f"setting {name}": _plain(value) for name, value in settings.items()},
            "cohort": self.cohort.name,
            "cohort's fingerprint": self.cohort.fingerprint(),
            "training scans": len(self.split.train),
            "test scans": len(self.split.test),
            "split": self.split.hash,
            "device": DEVICE,
            "threads": THREADS,
            "metrics version": METRICS_VERSION,
        }


def watched(name: str, tier: str, cache=None) -> Watched:
    """The suite of that name, its tier, its scans and their split.

    Raises
    ------
    UserError
        If there is none, or its budget is a time: figures then follow the machine's speed.
    """
    # the same functions as those of a run; torch is not imported
    from benchmark.runs.request import Request
    from benchmark.runs.sources import open_cohort, tier_split

    suite = load_suite(name)
    scale = chosen_scale(suite, tier, Request(suite=name))
    if Budget.parse(scale.settings.budget).unit == "device-seconds":
        raise UserError(
            f"suite {suite.name}, scale {tier}: a budget of {scale.settings.budget} buys more "
            "steps on a faster machine, so figures cannot be checked; give it a budget in steps"
        )
    chosen_methods(suite, ())
    cohort = open_cohort(suite.cohort, None, scale.spacing, cache)
    return Watched(name, suite, scale, cohort, tier_split(cohort, scale.train, scale.test))


def refuse_other(path, kept: dict, now: dict, remedy: str) -> None:
    """Raise UserError if a baseline's conditions are not those of this check; it says which."""
    different = [name for name in now | kept if kept.get(name) != now.get(name)]
    if not different:
        return
    shown = []
    for name in different[:3]:
        old, new = (_short(values.get(name)) for values in (kept, now))
        # two long values may differ where they were cut
        shown.append(f"{name} ({old} there, {new} here)" if old != new else name)
    more = f" and {len(different) - 3} more" if len(different) > 3 else ""
    raise UserError(
        f"{path}: made under other conditions, figures cannot be compared: "
        f"{', '.join(shown)}{more}; {remedy}"
    )


def _plain(value):
    return list(value) if isinstance(value, tuple) else value


def _short(value) -> str:
    if isinstance(value, list):
        value = ", ".join(map(str, value))
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
