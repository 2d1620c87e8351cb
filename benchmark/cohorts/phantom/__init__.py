"""The procedural phantom as cohorts: gated calcium scans, and chest CTs of the same people."""

from benchmark.cohorts.phantom.cohort import COUNT, PROTOCOLS, PhantomCohort

__all__ = ["COUNT", "PROTOCOLS", "PhantomCohort"]
