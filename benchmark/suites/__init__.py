"""Suites: which methods on which cohort under which budget. One YAML file each."""

from benchmark.suites.load import load_suite, suite_names
from benchmark.suites.schema import Scale, Suite

__all__ = ["Scale", "Suite", "load_suite", "suite_names"]
