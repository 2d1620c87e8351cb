"""The procedural cardiac CT phantom: 676 virtual patients of two centres."""

from benchmark.cohorts.phantom.cohort import PhantomCohort
from benchmark.cohorts.phantom.difficulty import DEFAULT_DIFFICULTY, Difficulty
from benchmark.cohorts.phantom.generate import VERSION, make_scan

__all__ = ["DEFAULT_DIFFICULTY", "VERSION", "Difficulty", "PhantomCohort", "make_scan"]
