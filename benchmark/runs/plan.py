"""A plan: every cell (method x seed) of a run with the key under which its result is kept."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmark.errors import UserError
from benchmark.frozen import freeze
from benchmark.methods import Method
from benchmark.names import slug

FORMAT = 2
"""Version of the layout of plan.json and run.json."""

_HARNESS = ("contract.py", "inference.py", "training", "calcium", "heart")
"""Files that take part in making predictions: a changed line in them makes new runs."""

LIBRARIES = ("torch", "numpy", "scipy", "connected-components-3d")
"""Libraries whose version may change a prediction: torch computes the networks, NumPy draws the
batches and the augmentation and pools the scans, SciPy and connected-components-3d find lesions.
Others read files (whose content is in the cohort's fingerprint) or print figures."""


@dataclass(frozen=True)
class CellPlan:
    """One method with one seed.

    Attributes
    ----------
    method : Method
    seed : int
    folder : str
        Name of its folder under ``cells/``: method, seed and the first digits of its key.
    key : dict
        All that the result depends on. Equal keys, equal result.
    weights : str or None
        Folder of the cell whose weights are tested here; None trains.
    start : Path or None
        Checkpoint that training starts from.
    broken : str or None
        Why the method cannot even be loaded; it then goes on the board as failed.
    """

    method: Method
    seed: int
    folder: str
    key: dict
    weights: str | None = None
    start: Path | None = None
    broken: str | None = None

    @property
    def label(self) -> str:
        """Name for progress lines."""
        return f"{self.method.title}, seed {self.seed}"


@dataclass(frozen=True)
class Plan:
    """A run before it starts: plain values (written as plan.json) and its cells.

    Attributes
    ----------
    values : dict
        What plan.json holds; `run_name` is a hash of it.
    cells : tuple of CellPlan
        In the order in which they run.
    """

    values: dict
    cells: tuple[CellPlan, ...]

    @property
    def run_name(self) -> str:
        """``<scale>-<cohort>-<8 hex>``: the same command gives the same folder."""
        unsettling = ("version", "asked", "patients")
        settled = {k: v for k, v in self.values.items() if k not in unsettling}
        together = self.values.get("patients", {}).get("together")
        if together:  # the same scans of other patients have other intervals
            settled["patients"] = together
        cohort = slug(self.values["cohort"]["name"])
        return f"{self.values['scale']}-{cohort}-{_digest(settled)[:8]}"


def make_cell(
    method: Method,
    seed: int,
    settings: dict,
    fingerprint: str,
    split_hash: str,
    device: str,
    threads: int,
    weights: str | None = None,
    start: Path | None = None,
    broken: str | None = None,
) -> CellPlan:
    """A cell and its key.

    Parameters
    ----------
    method : Method
        With every option stated (`Method.settled`), unless ``broken``.
    seed : int
    settings : dict
        `Settings.as_dict()`.
    fingerprint, split_hash : str
        Of cohort and split.
    device : str
        "cpu" or "cuda".
    threads : int
        A device-second of two threads is not that of one, so they are part of the key.
    weights : str, optional
        Folder of the cell whose weights are tested.
    start : Path, optional
        Checkpoint that training starts from.
    broken : str, optional
        Why the method cannot be loaded.

    Notes
    -----
    The key holds what the method *is*, not what it is called: an ablation under two names, or with
    an option written out that is the default, is one cell.
    """
    source = ""
    if broken is None:
        try:
            # from here on it is what was read here, whatever becomes of the file
            method = method.read()
            source = method.source()
        except (UserError, SyntaxError) as error:
            broken = str(error)
    key = {
        "method": method.family,
        "target": method.target,
        "options": method.options,
        "source": hashlib.sha256(source.encode()).hexdigest(),
        "harness": harness_hash(),
        "settings": own_settings(settings, method.family),
        "cohort": fingerprint,
        "split": split_hash,
        "seed": seed,
        "versions": library_versions(),
        "device": device,
        "threads": threads,
    }
    if method.tuning is not None:
        key["tuning"] = method.tuning.as_key()
        from benchmark.metrics import METRICS_VERSION  # which settings are chosen by

        key["tuning"] |= {"metrics": METRICS_VERSION}
        key["packages"] = {"optuna": version("optuna")}  # draws them
    if method.external and broken is None:
        key["packages"] = {name: version(name) for name in method.load().packages}
    if method.code is not None and method.code.found:
        key["imports"] = [list(pair) for pair in method.code.found]
    if weights is not None:
        key["weights"] = weights
    if start is not None:
        # a cell's folder bears the hash of all that its weights depend on
        key["start"] = start.parent.name
    key = json.loads(json.dumps(key))
    folder = f"{slug(method.family)}-seed{seed}-{_digest(key)[:12]}"
    return CellPlan(method, seed, folder, key, weights, start, broken)


def own_settings(settings: dict, family: str) -> dict:
    """What of a tier's settings a cell depends on: another method's options and width do not."""
    own = {name: value for name, value in settings.items() if name not in ("options", "widths")}
    widths = settings.get("widths") or {}
    return {**own, "width": widths[family]} if family in widths else own


@cache
def harness_hash() -> str:
    """SHA-256 over the harness's files that take part in making predictions."""
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    files = sorted((Path(file[0]), file[2]) for file in freeze().values())
    for name in _HARNESS:
        place = root / name
        for path, data in files:
            if path == place or path.is_relative_to(place):
                digest.update(path.relative_to(root).as_posix().encode() + b"\0")
                digest.update(data + b"\0")
    return digest.hexdigest()


def library_versions() -> dict[str, str]:
    """Installed versions of `LIBRARIES`, without importing them."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            title = "PyTorch" if name == "torch" else name
            raise UserError(f"{title} is not installed; run: pip install {name}") from None
    return found


def _digest(values: object) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
