"""The plain values of a tier, and the budget. No torch here: the command line reads this module."""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass, replace
from typing import Literal

from benchmark.errors import UserError

UNITS = ("device-seconds", "steps", "samples", "flops")
COUNTED = ("steps", "samples")
"""Units of what is learnt from, in whole numbers; the others are of what it costs."""

_SUFFIXES = {
    "s": "device-seconds",
    "device-seconds": "device-seconds",
    "seconds": "device-seconds",
    "step": "steps",
    "steps": "steps",
    "sample": "samples",
    "samples": "samples",
    "flop": "flops",
    "flops": "flops",
}

LARGEST_SEED = 2**63 - 1
"""PyTorch's generators take no larger one on every device, and none below 0 has a NumPy stream."""

MOST_SEEDS = 10_000
"""Repetitions of a run: each is a cell of every method."""

HEART, SCAN = "heart", "scan"
CENTRES = (HEART, SCAN)
"""What the training grid may be centred on without a file."""

_LATER = ("activation_checkpointing", "compile", "widths", "centre")
"""Settings that came after boards had been kept."""


def check_seed(seed: int, name: str = "--seed") -> int:
    """The seed itself.

    Parameters
    ----------
    seed : int
    name : str
        What it is called in a message.

    Raises
    ------
    UserError
        If a generator would not take it.
    """
    if not 0 <= seed <= LARGEST_SEED:
        raise UserError(f"{name} must be 0 to {LARGEST_SEED}, not {seed}")
    return seed


@dataclass(frozen=True)
class Budget:
    """What every method of a suite may spend on training, pretraining included.

    Attributes
    ----------
    amount : float
    unit : str
        ``device-seconds``: time between CUDA events on a GPU, process CPU time over the number of
        threads otherwise. ``steps``: optimiser steps of all stages. ``samples``: scans seen.
        ``flops``: floating point operations of forward and backward, by torch's counter.
    """

    amount: float
    unit: str

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise UserError(f"budget unit {self.unit!r} is unknown; choose from {', '.join(UNITS)}")
        if not 0 < self.amount < float("inf"):
            raise UserError(f"a budget must be a positive number, not {self.amount}")
        if self.unit in COUNTED and self.amount != int(self.amount):
            raise UserError(
                f"a budget of {self.amount:g} {self.unit}: there are whole {self.unit} only"
            )

    @classmethod
    def parse(cls, text: str) -> Budget:
        """Read ``"70 s"``, ``"300 steps"``, ``"5000 samples"`` or ``"2e13 flops"``.

        Raises
        ------
        UserError
            If the number or the unit cannot be read.
        """
        match = re.fullmatch(r"\s*([0-9.]+(?:[eE][+-]?[0-9]+)?)\s*([A-Za-z-]+)\s*", str(text))
        if match is None or match[2].lower() not in _SUFFIXES:
            raise UserError(
                f"cannot read the budget {text!r}; write for instance '70 s', '300 steps', "
                "'5000 samples' or '2e13 flops'"
            )
        try:
            amount = float(match[1])
        except ValueError:
            raise UserError(f"cannot read the number in the budget {text!r}") from None
        return cls(amount, _SUFFIXES[match[2].lower()])

    def __str__(self) -> str:
        return f"{self.amount:g} {self.unit}"


@dataclass(frozen=True)
class Settings:
    """How every method of a suite is trained: the one fair recipe, as plain values.

    Attributes
    ----------
    budget : str
        See :meth:`Budget.parse`.
    cell_mm : tuple of 3 floats
        Size (z, y, x) of a cell of the training grid in mm.
    grid : tuple of 3 ints, optional
        Cells (Z, Y, X); by default large enough for the training split's lesions and a margin.
    width : int
        Channels of a network's first layers.
    batch_size : int
        Scans a step.
    learning_rate, weight_decay : float
    optimiser : "adamw" or "adam"
    schedule : "cosine" or "exponential"
        Of the spent share of the stage's budget: a warm-up over the first 5 % and a half cosine to
        zero; or the paper's decay of 0.985 an epoch over 200 epochs (0.002 to 0.000097).
    shift_cells : int
        Augmentation: largest in-plane shift, cells (half of it along z).
    noise : float
        Augmentation: SD of the noise added to the scaled image.
    precision : "float32", "bfloat16", "float16" or "auto"
        Autocast type; float16 takes a gradient scaler. A run settles "auto" before it plans
        (`benchmark.runs.request.chosen_precision`), so that no kept result bears it.
    options : dict
        Constructor options by method name, ``{"mmwfanet": {"stem_stride": 4}}``.
    widths : dict
        Width by method name where it is not `width`, ``{"sslln": 16}``: a paper's own.
    deterministic : bool
        Let PyTorch take operations that give the same bits each time, where it has them. On a CPU
        all of its operations here do so anyway.
    activation_checkpointing : bool
        Keep of each block its input alone until the backward pass, which computes the rest again:
        less memory, more time, the same gradients. What is computed twice is counted twice.
    centre : str
        What the training grid is centred on: "heart" as found from the voxels, "scan", or places
        from a file ("file" and a hash of them, `benchmark.heart.places.Places.name`). A suite's
        default is the heart; here it is the scan, which all runs had before this could be chosen.
    compile : "none", "default" or "reduce-overhead"
        Losses compiled by torch.compile; the last with CUDA graphs on a GPU. Compiling is outside
        the budget and stands in the ledger.
    """

    budget: str
    cell_mm: tuple[float, float, float]
    width: int
    batch_size: int
    learning_rate: float
    grid: tuple[int, int, int] | None = None
    weight_decay: float = 1e-4
    optimiser: Literal["adamw", "adam"] = "adamw"
    schedule: Literal["cosine", "exponential"] = "cosine"
    shift_cells: int = 2
    noise: float = 0.05
    precision: Literal["float32", "bfloat16", "float16", "auto"] = "float32"
    options: dict[str, dict] | None = None
    deterministic: bool = False
    widths: dict[str, int] | None = None
    activation_checkpointing: bool = False
    compile: Literal["none", "default", "reduce-overhead"] = "none"
    centre: str = SCAN

    def __post_init__(self) -> None:
        Budget.parse(self.budget)
        if not all(0 < side < math.inf for side in self.cell_mm):
            raise UserError(f"cell_mm must be positive, not {self.cell_mm}")
        if self.grid is not None and min(self.grid) < 8:
            raise UserError(
                f"a training grid needs at least 8 cells along each axis, not {self.grid}"
            )
        if self.centre not in CENTRES and not re.fullmatch("file [0-9a-f]{16}", self.centre):
            raise UserError(f"centre must be heart, scan or --centre FILE, not {self.centre!r}")
        # a comparison with NaN is false
        widths = (self.width, *(self.widths or {}).values())
        if min(widths) < 4 or self.batch_size < 1 or not 0 < self.learning_rate < math.inf:
            raise UserError(
                "width must be at least 4, batch_size at least 1, learning_rate positive"
            )
        if self.compile != "none" and self.activation_checkpointing:
            raise UserError(
                "compile and activation_checkpointing exclude each other (PyTorch cannot compile "
                "such blocks): set one of them"
            )

    def of(self, family: str) -> Settings:
        """The settings that a method is trained with: its own width, its options stated by itself.

        Parameters
        ----------
        family : str
            `benchmark.methods.Method.family`.
        """
        width = (self.widths or {}).get(family, self.width)
        return replace(self, width=width, widths=None, options=None)

    def as_dict(self) -> dict:
        """Plain values, as written into a run's folder.

        A setting that came later is left out where it has its default, so that keys of runs made
        before it stay what they were.
        """
        values = asdict(self)
        for name in _LATER:
            if values[name] == getattr(type(self), name):
                del values[name]
        return values
