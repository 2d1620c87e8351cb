"""Figures of merit with intervals: NumPy and SciPy in, numbers out.

`summarise` gives all figures of a method, `replicate` with `paired_differences` compares two on
patients, `contrast` with `decide` compares methods on patients and trainings, `rank_methods` ranks.
"""

from .agreement import icc, icc_of_ratings, mae, pearson
from .bland_altman import Agreement, bland_altman
from .estimate import Estimate
from .gain import TASKS, Gains, gains, pairwise_gain, single_gain, task_keys
from .kappa import RISK_EDGES, categories_of, linear_kappa
from .overlap import TARGETS, overlap_estimates, overlap_volumes
from .paired import (
    PairedDifference,
    holm,
    paired_difference,
    paired_differences,
    paired_overlap,
    paired_scores,
)
from .ranking import JointRanking, Ranking, joint_ranking, kendall_tau, rank_methods, ranks_of
from .replicates import Key, Replicates, replicate
from .summary import KEYS, as_estimates, seed_spread, summarise
from .verdict import Contrast, SeedNoise, contrast, decide, pooled_noise
from .worst import (
    fill_missing,
    fill_missing_categories,
    fill_missing_overlap,
    worst_overlap,
    worst_scores,
)

METRICS_VERSION = 1
"""Raised whenever a figure is defined otherwise ([Rules] in CHANGELOG.md): kept figures of another
version are then not compared with new ones."""

__all__ = [
    "KEYS",
    "METRICS_VERSION",
    "RISK_EDGES",
    "TARGETS",
    "TASKS",
    "Agreement",
    "Contrast",
    "Estimate",
    "Gains",
    "JointRanking",
    "Key",
    "PairedDifference",
    "Ranking",
    "Replicates",
    "SeedNoise",
    "as_estimates",
    "bland_altman",
    "categories_of",
    "contrast",
    "decide",
    "fill_missing",
    "fill_missing_categories",
    "fill_missing_overlap",
    "gains",
    "holm",
    "icc",
    "icc_of_ratings",
    "joint_ranking",
    "kendall_tau",
    "linear_kappa",
    "mae",
    "overlap_estimates",
    "overlap_volumes",
    "paired_difference",
    "paired_differences",
    "paired_overlap",
    "paired_scores",
    "pairwise_gain",
    "pearson",
    "pooled_noise",
    "rank_methods",
    "ranks_of",
    "replicate",
    "seed_spread",
    "single_gain",
    "summarise",
    "task_keys",
    "worst_overlap",
    "worst_scores",
]
