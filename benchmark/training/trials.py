"""The trials of a search: drawn and pruned by optuna, and kept so that a search can go on.

Every draw follows from the seed and from what came of the trials before, so that a study that is
told the kept outcomes again stands where it stood.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from benchmark.whole import write_text

LARGEST_RECORD = 4 << 20
"""Bytes of a kept search."""

STATES = ("complete", "pruned", "failed")
UNITS = ("device_seconds", "steps", "samples", "flops", "apart_steps", "apart_samples")


@dataclass
class Outcome:
    """What came of a trial.

    Attributes
    ----------
    number : int
    setting : dict
    state : str
        One of `STATES`.
    half, value : float or None
        The objective after a half of its budget, and at its end.
    reason : str
        Why it failed.
    spent : dict
        By the ledger's names of the units.
    wall_seconds : float
    """

    number: int
    setting: dict
    state: str = "failed"
    half: float | None = None
    value: float | None = None
    reason: str = ""
    spent: dict = field(default_factory=dict)
    wall_seconds: float = 0.0

    def fail(self, reason: str) -> None:
        """It gave no figure."""
        self.state, self.value, self.reason = "failed", None, reason

    def as_dict(self) -> dict:
        """Plain values."""
        return asdict(self)

    @classmethod
    def read(cls, values: object) -> Outcome:
        """An outcome from `as_dict`.

        Raises
        ------
        ValueError, TypeError
            If the values are none.
        """
        found = cls(**values)
        numbers = [found.number, found.wall_seconds, *(found.spent[unit] for unit in UNITS)]
        numbers += [v for v in (found.half, found.value) if v is not None]
        if not all(isinstance(v, int | float) and math.isfinite(v) for v in numbers):
            raise ValueError("a figure of it is no finite number")
        if found.state not in STATES or (found.value is None) == (found.state == "complete"):
            raise ValueError("a trial of it is in no known state")
        return found


class Record:
    """The outcomes of a search on the disk.

    Parameters
    ----------
    path : Path or None
        None keeps nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def read(self, say: Callable[[str], None]) -> list[Outcome]:
        """The trials that are done; none, with a line, if the file is damaged."""
        if self._path is None or not self._path.is_file():
            return []
        try:
            if self._path.stat().st_size > LARGEST_RECORD:
                raise ValueError("it is too large")
            found = [Outcome.read(one) for one in json.loads(self._path.read_text("utf-8"))]
            if [one.number for one in found] != list(range(len(found))):
                raise ValueError("its trials are not in order")
            return found
        except PermissionError as error:
            self._give_up(error, say)
        except (
            ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError
        ) as error:  # fmt: skip
            say(f"its kept search is damaged ({error}): the search begins anew")
        return []

    def write(self, outcomes: list[Outcome], say: Callable[[str], None]) -> None:
        """Keep the trials that are done.

        Raises
        ------
        OSError
            If the disk is full or cannot be written.
        """
        if self._path is None:
            return
        try:
            write_text(self._path, json.dumps([one.as_dict() for one in outcomes]) + "\n")
        except PermissionError as error:
            self._give_up(error, say)

    def _give_up(self, error: PermissionError, say: Callable[[str], None]) -> None:
        """In a folder that a group shares another user may have begun the search."""
        say(f"its search is not kept: no permission for {error.filename or self._path}")
        self._path = None


class _Other(Exception):
    """A kept trial is not the one that is drawn here."""


class Study:
    """Draws settings and says which trials go on.

    Parameters
    ----------
    space : dict
        See `benchmark.tuning.Tuning`.
    trials : int
    seed : int
    """

    def __init__(self, space: dict, trials: int, seed: int) -> None:
        self._space, self._trials = space, trials
        self._seed = int(np.random.SeedSequence([seed, 30]).generate_state(1)[0])

    def run(
        self,
        run: Callable[[int, dict, Callable[[float], bool]], Outcome],
        record: Record,
        say: Callable[[str], None],
    ) -> list[Outcome]:
        """All trials, those on record told and the others run.

        Parameters
        ----------
        run : callable
            ``run(number, setting, go_on)``; it asks ``go_on(value)`` at a half of the trial.
        record : Record
        say : callable
            Gets lines for a person.
        """
        done = record.read(say)
        if done:
            say(f"its search goes on after {len(done)} of {self._trials} trials")
        try:
            return self._run(run, record, say, done)
        except _Other:
            say("its kept search is another one: the search begins anew")
            return self._run(run, record, say, [])

    def _run(self, run, record: Record, say, done: list[Outcome]) -> list[Outcome]:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        study = optuna.create_study(
            direction="maximize",
            sampler=optuna.samplers.TPESampler(seed=self._seed),
            # a look at a half (step 1) and at the end (step 2)
            pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=2),
        )
        study.enqueue_trial({name: spec["default"] for name, spec in self._space.items()})
        space = {name: _distribution(optuna, spec) for name, spec in self._space.items()}
        outcomes: list[Outcome] = []
        for number in range(self._trials):
            trial = study.ask(space)

            def go_on(value: float, trial=trial) -> bool:
                trial.report(value, 1)
                return not trial.should_prune()

            if number < len(done):
                outcome = done[number]
                if outcome.setting != trial.params:
                    raise _Other
                if outcome.half is not None:
                    go_on(outcome.half)
            else:
                outcome = run(number, dict(trial.params), go_on)
            if outcome.state == "complete":
                study.tell(trial, outcome.value)
            else:
                pruned = outcome.state == "pruned"
                state = optuna.trial.TrialState
                study.tell(trial, state=state.PRUNED if pruned else state.FAIL)
            outcomes.append(outcome)
            if number >= len(done):
                record.write(outcomes, say)
        return outcomes


def _distribution(optuna, spec: dict):
    if "choices" in spec:
        return optuna.distributions.CategoricalDistribution(spec["choices"])
    if spec["whole"]:
        return optuna.distributions.IntDistribution(spec["low"], spec["high"], log=spec["log"])
    return optuna.distributions.FloatDistribution(spec["low"], spec["high"], log=spec["log"])
