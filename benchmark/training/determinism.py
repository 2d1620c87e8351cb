"""Seeds of every random generator, and PyTorch's operations that give the same bits each time."""

from __future__ import annotations

import os
import random
import warnings

import numpy as np
import torch

CUBLAS = "CUBLAS_WORKSPACE_CONFIG"
"""Variable that cuBLAS reads when a process first uses the GPU."""


def seed_all(seed: int) -> None:
    """Seed the global generators of Python, NumPy and torch (all devices).

    The harness draws from generators of its own; these are for what a network draws itself.
    """
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 users' networks may draw from the global generator
    torch.manual_seed(seed)


class Determinism:
    """Within, PyTorch takes deterministic operations where it has them.

    An operation that has no such form runs as it is, and its name is kept for the ledger: on a GPU
    that is the case for some interpolations and poolings, and a network that fails for it would
    help nobody.

    Parameters
    ----------
    wanted : bool
    """

    def __init__(self, wanted: bool) -> None:
        self.wanted = wanted
        self.others: set[str] = set()

    def __enter__(self) -> Determinism:
        if not self.wanted:
            return self
        os.environ.setdefault(CUBLAS, ":4096:8")
        cudnn = torch.backends.cudnn
        self._before = (
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
            cudnn.deterministic,
            cudnn.benchmark,
        )
        torch.use_deterministic_algorithms(True, warn_only=True)
        cudnn.deterministic, cudnn.benchmark = True, False
        self._catch = warnings.catch_warnings()
        self._catch.__enter__()
        warnings.simplefilter("always", UserWarning)
        show = warnings.showwarning

        def keep(message, *arguments, **more) -> None:
            text = str(message)
            if "deterministic" in text:
                self.others.add(text.split()[0])
            else:
                show(message, *arguments, **more)

        warnings.showwarning = keep
        return self

    def __exit__(self, *exception: object) -> None:
        if not self.wanted:
            return
        self._catch.__exit__(*exception)
        enabled, warn_only, deterministic, benchmark = self._before
        torch.use_deterministic_algorithms(enabled, warn_only=warn_only)
        torch.backends.cudnn.deterministic = deterministic
        torch.backends.cudnn.benchmark = benchmark

    def as_dict(self) -> dict:
        """For the ledger: whether it was asked for, and which operations had no such form."""
        if not self.wanted:
            return {}
        return {"deterministic": True, "not_deterministic": sorted(self.others)}
