"""What was asked for on the command line, and what it means: methods, tier, device."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark import names
from benchmark.errors import UserError
from benchmark.methods import METHODS, Method, find
from benchmark.suites.schema import SCALES, Scale, Suite, nearest, override
from benchmark.yaml_values import read_value

if TYPE_CHECKING:
    from benchmark.cohorts.base import Cohort
    from benchmark.heart.places import Places


@dataclass(frozen=True)
class Request:
    """What was asked for on the command line.

    Attributes
    ----------
    suite : str
        Name or path of a suite.
    scale : str or None
        Tier; None takes quick without a GPU and full with one.
    methods : tuple of str
        Empty takes the suite's.
    changes : tuple of (str, str)
        Values of the tier to be replaced, ``("budget", "70 s")``; text is read as YAML.
    seeds, first_seed : int or None, int
    cohort, data, spacing, cache
        See `benchmark.runs.sources.open_cohort`.
    split, fold, split_seed : str or None, str or None, int
        See `benchmark.cohorts.split_choice.parse_choice`.
    out : Path
        Folder of all runs.
    device : "auto", "cpu" or "cuda"
    init : Path or None
        Run whose networks training starts from.
    threads, workers : int or None
        Of each training, and processes for data.
    jobs : int or None
        Cells at work side by side; None takes as many as the cores allow on a CPU.
    in_process : bool
        Train in this process, without a child for each cell.
    cell_timeout : float or None
        Longest a cell may take, wall-clock seconds.
    checkpoint_every : float
        Seconds between two checkpoints of a training.
    tune : int or None
        Trials of a search for each method's setting, inside its budget.
    places : Places or None
        Of a file on which the training grid is centred; ``changes`` then holds their name.
    """

    suite: str
    scale: str | None = None
    methods: tuple[str, ...] = ()
    changes: tuple[tuple[str, str], ...] = ()
    seeds: int | None = None
    first_seed: int = 0
    cohort: str | None = None
    data: Path | None = None
    spacing: float | None = None
    cache: Path | None = None
    split: str | None = None
    fold: str | None = None
    split_seed: int = 0
    out: Path = field(default_factory=lambda: Path("results/runs"))
    device: str = "auto"
    init: Path | None = None
    threads: int | None = None
    workers: int | None = None
    jobs: int | None = None
    in_process: bool = False
    cell_timeout: float | None = None
    checkpoint_every: float = 300.0
    tune: int | None = None
    places: Places | None = None

    def asked(self) -> dict:
        """What makes this run another than the suite's own, for plan.json; no path of scans."""
        return {
            "changes": [list(pair) for pair in self.changes],
            "split": self.split,
            "fold": self.fold,
            "split_seed": self.split_seed,
            "spacing": self.spacing,
            "own_scans": self.data is not None,
        }


def chosen_methods(suite: Suite, wanted: tuple[str, ...]) -> tuple[Method, ...]:
    """The methods asked for, or the suite's; references come last.

    Raises
    ------
    UserError
        If a name is unknown.
    """
    own = {method.name: method for method in (*suite.methods, *suite.references)}
    found = [own[n] if n in own else find(n) for n in dict.fromkeys(wanted or own)]
    return tuple(sorted(found, key=lambda method: method.reference))


def rows_there(
    methods: Collection[Method], asked: Collection[str], scale: Scale, cohort: Cohort
) -> tuple[Method, ...]:
    """The methods without what the tier leaves out and what the cohort knows too little for.

    Parameters
    ----------
    methods : collection of Method
        From `chosen_methods`.
    asked : collection of str
        Those that were asked for by name, which no tier leaves out.
    scale : Scale
    cohort : Cohort

    Raises
    ------
    UserError
        If a method was asked for that needs more than the cohort knows.
    """
    unknown = [m.name for m in methods if m.needs_owners and not cohort.knows_owners]
    refused = [name for name in unknown if name in asked]
    if refused:
        raise UserError(
            f"{refused[0]}: cohort {cohort.name} does not know which artery its candidates truly "
            "belong to; leave it out of --methods"
        )
    left_out = {*unknown, *(name for name in scale.leave_out if name not in asked)}
    return tuple(method for method in methods if method.name not in left_out)


def chosen_scale(suite: Suite, tier: str, request: Request) -> Scale:
    """A tier of the suite with the values of ``--set`` and ``--budget`` in it.

    Raises
    ------
    UserError
        If the tier, a key or a value is wrong.
    """
    if tier not in SCALES:
        raise UserError(f"unknown scale {tier!r}{nearest(tier, SCALES)}")
    if tier not in suite.scales:
        known = ", ".join(suite.scales)
        raise UserError(f"suite {suite.name} has no scale {tier!r}; it has {known}")
    changes = {}
    for key, text in request.changes:
        changes[key] = read_value(text, f"--set {key}")
    return override(suite.scales[tier], changes) if changes else suite.scales[tier]


def chosen_device(wanted: str) -> str:
    """ "cpu" or "cuda"; imports torch unless the CPU is asked for.

    Raises
    ------
    UserError
        If a GPU is asked for and there is none.
    """
    if wanted == "cpu":
        return "cpu"
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if wanted == "cuda":
        raise UserError("--device cuda: PyTorch finds no GPU here; use --device cpu or auto")
    return "cpu"


def chosen_precision(wanted: str, device: str, here: bool = True) -> str:
    """The number format of a run: "auto" is bfloat16 where the processor multiplies it fast.

    That is a GPU from NVIDIA's Ampere on, or a CPU with matrix units for it (AMX). Without them
    bfloat16 is slower than float32.

    Parameters
    ----------
    wanted : str
        A recipe's ``precision``.
    device : str
        "cpu" or "cuda".
    here : bool
        Whether this machine is the one that trains.

    Raises
    ------
    UserError
        If "auto" is asked for on another machine than this one.
    """
    if wanted != "auto":
        return wanted
    if not here:
        raise UserError(
            "precision=auto is settled by the machine that trains, which is another one: name it, "
            "--set precision=float32, bfloat16 or float16"
        )
    if device == "cuda":
        import torch

        fast = torch.cuda.is_available() and torch.cuda.get_device_capability() >= (8, 0)
    else:
        fast = "amx_bf16" in _processor_flags()
    return "bfloat16" if fast else "float32"


def _processor_flags(place: Path = Path("/proc/cpuinfo")) -> set[str]:
    """What the processor can do, as Linux names it; empty elsewhere."""
    try:
        for line in place.read_text().splitlines():
            if line.startswith("flags"):
                return set(line.partition(":")[2].split())
    except OSError:
        pass
    return set()


def split_names(text: str, known: Collection[str] = ()) -> list[str]:
    """Method names at commas, but not at those of a list: ``a,b+gates=[coronal, sagittal]``.

    Parameters
    ----------
    text : str
    known : collection of str
        Names of a suite's or a run's own, beside those of this program and of plugins.

    Raises
    ------
    UserError
        If a part may be one file or several methods.
    """
    from benchmark.plugins import installed

    return names.split_names(text, {*METHODS, *installed(), *known})
