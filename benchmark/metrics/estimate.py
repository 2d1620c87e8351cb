"""A figure with its interval, or the reason why there is none."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Estimate:
    """One figure of a cohort with its 95 % interval.

    Parameters
    ----------
    value : float
        The figure. NaN says undefined; ``note`` then gives the reason.
    low, high : float
        Ends of the 95 % interval. NaN says that the interval is unknown, while the value may be
        known (three scans give an ICC but hardly an interval).
    n : int
        Number of scans the figure rests on, those filled with their worst value included.
    note : str
        What a reader must know: why undefined, how many scans were missing, and so on.
    patients : int or None
        Number of patients of these scans; None: nobody said, or as many as scans.

    Raises
    ------
    ValueError
        When the value is undefined and no reason is given.

    Examples
    --------
    >>> Estimate(0.953, 0.941, 0.962, 120).as_text()
    '0.953 (0.941 to 0.962)'
    >>> Estimate.undefined("no reference calcium in LCX", 120).as_text()
    'undefined: no reference calcium in LCX'
    """

    value: float
    low: float
    high: float
    n: int
    note: str = ""
    patients: int | None = None

    def __post_init__(self) -> None:
        if math.isnan(self.value) and not self.note:
            raise ValueError("an undefined estimate needs a note that says why")

    @classmethod
    def undefined(cls, note: str, n: int, patients: int | None = None) -> Estimate:
        """Make an estimate that has no value, for the reason in ``note``."""
        return cls(math.nan, math.nan, math.nan, n, note, patients)

    @property
    def is_defined(self) -> bool:
        """Whether there is a value at all."""
        return not math.isnan(self.value)

    def as_text(self, decimals: int = 3) -> str:
        """Write the figure and its interval, or the reason why it is undefined."""
        if not self.is_defined:
            return f"undefined: {self.note}"
        text = f"{self.value:.{decimals}f}"
        if math.isnan(self.low) or math.isnan(self.high):
            return text
        return f"{text} ({self.low:.{decimals}f} to {self.high:.{decimals}f})"


def join_notes(*notes: str) -> str:
    """Put the notes that say something into one line, each once."""
    return "; ".join(dict.fromkeys(note for note in notes if note))
