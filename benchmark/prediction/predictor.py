"""A kept cell as a network that labels and scores scans which it never saw.

The numbers are those of the run: a scan goes through the same grid, the same component vote and
the same scoring (`benchmark.training.prepare.example`, `benchmark.training.predict.predict`).
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmark.cohorts.base import Scan
from benchmark.errors import UserError
from benchmark.heart.centring import chosen_centre, middle_of
from benchmark.heart.places import Places
from benchmark.inference import dense_labels
from benchmark.manifest import sha256
from benchmark.methods import METHODS, Method, find
from benchmark.names import own_class, split_base
from benchmark.prediction.judged import Judged, candidate_volume
from benchmark.runs.currency import changed_since
from benchmark.runs.finished import FinishedRun, find_run
from benchmark.runs.request import chosen_device
from benchmark.runs.start import seen_by
from benchmark.runs.store import CHECKPOINT, KeptCell, Store, named
from benchmark.suites.schema import nearest
from benchmark.training.grid import CHANNELS, TrainingGrid
from benchmark.training.settings import CENTRES, HEART, SCAN, Settings
from benchmark.tuning import SUFFIX, built_with

if TYPE_CHECKING:
    import torch
    from torch import nn

_NEEDED = {
    "method": str, "target": str, "options": dict, "settings": dict, "source": str, "harness": str,
}  # fmt: skip
"""Of a cell's key, to build its network again."""

MOST_CELLS = 1 << 28
"""Of a training grid: 1 GB for one channel of one scan. More is a damaged file."""

MAIN = "mmwfanet"
"""Whose network is taken when nobody says which."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a network says of one scan.

    Attributes
    ----------
    labels : ndarray of uint8, (z, y, x), or None
        0 background, 1 LAD with the left main, 2 LCX, 3 RCA, in memory's orientation; whole
        components above 130 HU only. None if the network gives no mask.
    scores_mask : ndarray, (3, 4), or None
        Agatston, volume (mm3), mass (mg) x LAD, LCX, RCA, whole, of these labels.
    scores_head : ndarray, (3, 4), or None
        The same from the score head; NaN where it gives no usable number.
    as_judged : bool or None
        Whether these are the scores by which the run judged the network on this very scan; None
        if it is no test scan of the run, or is centred otherwise.
    warning : str
        That no heart was found where one was sought; "" if nothing is to be said.
    """

    labels: np.ndarray | None
    scores_mask: np.ndarray | None
    scores_head: np.ndarray | None
    as_judged: bool | None = None
    warning: str = ""


@dataclass(eq=False)
class Predictor:
    """A trained network; see `load_predictor`. Not to be used by two threads at once.

    Attributes
    ----------
    method, title : str
        Name and title in the run.
    seed : int
    outputs : tuple of str
        "mask", "head" or both.
    grid : TrainingGrid
    identity : str
        The same for the same network with the same weights, and for no other.
    notes : tuple of str
        What a user of the predictions should know.
    judged : Judged, optional
        By what the run judged it.
    trained_on : dict of str
        Ids of the scans it was trained on, by `benchmark.cohorts.same_scans.key_of`.
    centre : str
        What the grid is centred on, see `benchmark.heart.centring.middle_of`.
    places : Places, optional
        Of a file that `centre` names.
    """

    method: str
    title: str
    seed: int
    outputs: tuple[str, ...]
    grid: TrainingGrid
    identity: str
    notes: tuple[str, ...] = ()
    judged: Judged | None = None
    trained_on: dict[str, str] = field(default_factory=dict, repr=False)
    centre: str = SCAN
    places: Places | None = None
    _model: nn.Module = field(default=None, repr=False)
    _settings: Settings = field(default=None, repr=False)
    _device: object = field(default=None, repr=False)

    def predict(self, scan: Scan) -> Prediction:
        """Label and score one scan; its own labels are not read and may be None.

        Raises
        ------
        UserError
            If the network has no finite answer; the message begins with the scan's id.
        """
        from benchmark.training.predict import CellResult, predict
        from benchmark.training.prepare import example

        unknown = np.zeros(scan.voxels.shape, np.uint8)
        middle = middle_of(scan, self.centre, self.places)
        one = example(replace(scan, labels=unknown), self.grid, middle.offset)
        result = CellResult(self.method, self.seed, [scan.id], one.scores[None], np.zeros((1, 4)))
        # of a method it asks for the outputs alone
        try:
            predict(self._model, self, (one,), self._settings, self._device, result)
        except SystemExit as error:
            raise UserError(
                f"{scan.id}: {self.title} ended the program (SystemExit: {error})"
            ) from None
        head = None if result.head is None else result.head[0]
        mask = None if result.mask is None else result.mask[0]
        answer = head if mask is None else mask
        if not np.isfinite(answer).all():
            raise UserError(f"{scan.id}: {self.title} gives no finite answer for this scan")
        labels = None
        if mask is not None:
            labels = dense_labels(result.components[0], one.candidates, one.shape)
        same = None
        if self.judged is not None and self.centre == self._settings.centre:
            same = self.judged.same(scan.id, candidate_volume(one), mask, head)
        return Prediction(labels, mask, head, same, middle.warning)


def load_predictor(
    run: FinishedRun | str | Path,
    method: str | None = None,
    seed: int | None = None,
    out: Path = Path("results/runs"),
    device: str = "auto",
    centre: str | None = None,
) -> Predictor:
    """The trained network of a run.

    Parameters
    ----------
    run : FinishedRun, str or Path
        A run, its folder or name, or a suite (then its newest run).
    method : str, optional
        By default MMWFAnet, or the run's first network with a mask, or its first.
    seed : int, optional
        By default the lowest that finished.
    out : Path
        Where runs are kept.
    device : "auto", "cpu" or "cuda"
    centre : str, optional
        What the grid is centred on: "heart", "scan" or the name of a CSV file of places. By
        default what the network was trained with; the heart in the place of a file.

    Raises
    ------
    UserError
        If there is no such run or network, its recipe cannot be read, or its weights do not fit
        the class of that name.

    Notes
    -----
    What a run's folder holds is numbers and JSON, and nothing it says is run: the class comes
    from this program or an installed package, by name. A network of one's own is code in a file;
    it is run only if the caller names that file as ``method``.
    """
    run = run if isinstance(run, FinishedRun) else find_run(str(run), Path(out))
    store = Store(run.folder.resolve().parents[1])
    cell = choose_cell(run, store, method, seed)
    missing = [name for name in _NEEDED if name not in cell.key]
    if missing or "grid" not in cell.ledger:
        raise UserError(
            f"{store.cells / cell.folder}: kept by a version of this program that did not yet note "
            f"its {(missing or ['grid'])[0]}; run the suite again"
        )
    settings, grid = _recipe(store.cells / cell.folder, cell)
    centre, places, word = _centring(settings.centre, centre)
    kind = code_of(cell, method)

    import torch

    where = torch.device(chosen_device(device))
    changed = changed_since(cell.key, kind)
    model, notes = rebuilt(store, cell, kind, grid, settings, where, changed)
    return Predictor(
        method=cell.method,
        title=cell.title,
        seed=cell.seed,
        outputs=tuple(cell.outputs),
        grid=grid,
        identity=_identity(
            store.cells / cell.folder / CHECKPOINT, cell, *({centre} - {settings.centre})
        ),
        notes=(*notes, *word),
        judged=Judged.of(cell, where.type, changed),
        trained_on=seen_by(run.plan),
        centre=centre,
        places=places,
        _model=model,
        _settings=settings,
        _device=where,
    )


def _centring(trained: str, asked: str | None) -> tuple[str, Places | None, tuple[str, ...]]:
    """What the grid is centred on, the places of a file, and what the user should know of it."""
    if asked is None:
        if trained in CENTRES:
            return trained, None, ()
        word = "it was trained with the grid centred on places of a file, here it is on the heart"
        return HEART, None, (f"{word}: give the places with --centre FILE",)
    centre, places = chosen_centre(asked)
    was, now = (name if name in CENTRES else "places of a file" for name in (trained, centre))
    if was == now:
        return centre, places, ()
    words = {HEART: "the heart", SCAN: "the scan"}
    return centre, places, (
        f"it was trained with the grid centred on {words.get(was, was)}, here it is on "
        f"{words.get(now, now)}: labels may be worse for it",
    )  # fmt: skip


def choose_cell(
    run: FinishedRun, store: Store, method: str | None = None, seed: int | None = None
) -> KeptCell:
    """The finished network of that name and seed; see `load_predictor` for the defaults.

    Raises
    ------
    UserError
        If there is none; the message says what there is.
    """
    methods = {m["name"]: m for m in run.plan["methods"] if m["trained"] and not _external(m)}
    if not methods:
        raise UserError(f"{run.folder}: holds no trained network")
    if method is None:
        names = sorted(methods, key=lambda n: (n != MAIN, "mask" not in methods[n]["outputs"]))
    else:
        names = [_planned(run, methods, method)]
    seeds: list[int] = []
    for name in names:
        entries = sorted(
            (entry for entry in run.plan["cells"] if entry["method"] == name),
            key=lambda entry: entry["seed"],
        )
        for entry in entries:
            if seed is not None and entry["seed"] != seed:
                seeds.append(entry["seed"])
                continue
            cell = named(store.read(entry["folder"]), methods[name])
            if cell is not None and cell.state == "finished":
                return cell
    if seed is not None and seed not in (entry["seed"] for entry in run.plan["cells"]):
        known = ", ".join(str(s) for s in sorted(set(seeds)))
        raise UserError(f"{run.folder}: no seed {seed}; it has {known}")
    raise UserError(
        f"{run.folder}: {method or 'no network'} {'has not' if method else 'has'} finished; "
        "finish the run with the same `benchmark run` command"
    )


def _planned(run: FinishedRun, methods: dict, name: str) -> str:
    """The name under which the run holds that method: a file may have moved since."""
    if name in methods:
        return name
    if own_class(split_base(name)[0]):
        same = [known for known in methods if ":" in known and _own(known) == _own(name)]
        if len(same) == 1:
            return same[0]
    planned = {m["name"]: m for m in run.plan["methods"]}
    if name in planned and _external(planned[name]):
        raise UserError(f"{name} trains itself: a run keeps what it predicted, not its network")
    if name in planned:
        raise UserError(f"{name} learns nothing by gradient: there is no network to predict with")
    raise UserError(
        f"{run.folder}: no method {name!r}{nearest(name, methods)}; it has {', '.join(methods)}"
    )


def _external(method: dict) -> bool:
    """Whether a method of a plan is a system that trains itself."""
    known = METHODS.get(method["name"])
    return known is not None and known.external


def _own(name: str) -> tuple[str, str]:
    """File name and class (with options) of ``path/to/net.py:Net``."""
    base, rest = split_base(name)
    path, kind = own_class(base) or (base, "")
    return Path(path).name, kind + rest


def code_of(cell: KeptCell, asked: str | None) -> Method:
    """The class that a cell's weights belong to, by name alone.

    Raises
    ------
    UserError
        If it is code in a file that the caller did not name, or the name stands for another class.
    """
    family = cell.key["method"]
    if ":" in family:
        if asked is None:
            raise UserError(
                f"{cell.title} is code in a file of its author ({family}), which a run does not "
                f"hold; if you trust that file, name it: --method {family}"
            )
        # options are those of the cell, whatever the name says
        return find(split_base(asked.removesuffix(SUFFIX))[0])
    kind = find(family)
    if kind.target != cell.key["target"]:
        raise UserError(
            f"{cell.folder}: its {family} was {cell.key['target']}, which is {kind.target} here"
        )
    return kind


def _recipe(folder: Path, cell: KeptCell) -> tuple[Settings, TrainingGrid]:
    """The settings and the training grid of a cell, from what was kept.

    Raises
    ------
    UserError
        If they are no settings or no grid, as in a file that somebody changed.
    """
    try:
        for name, kind in _NEEDED.items():
            if not isinstance(cell.key[name], kind):
                raise TypeError(f"{name} is {type(cell.key[name]).__name__}, not {kind.__name__}")
        settings = Settings(**cell.key["settings"])
        cell_mm = tuple(float(size) for size in settings.cell_mm)
        shape = tuple(int(cells) for cells in cell.ledger["grid"])
        if len(cell_mm) != 3 or len(shape) != 3 or min(shape) < 1 or math.prod(shape) > MOST_CELLS:
            raise ValueError(f"a grid of {shape} cells of {cell_mm} mm")
        return settings, TrainingGrid(cell_mm, shape)
    except (UserError, ValueError, TypeError, OverflowError) as error:
        reason = " ".join(str(error).split())[:120]
        raise UserError(
            f"{folder}: its recipe cannot be read ({reason}); run the suite again"
        ) from None


def rebuilt(
    store: Store,
    cell: KeptCell,
    kind: Method,
    grid: TrainingGrid,
    settings: Settings,
    device: torch.device,
    changed: tuple[str, ...] = (),
) -> tuple[nn.Module, tuple[str, ...]]:
    """A cell's network with its kept weights, in evaluation mode, and what its user should know.

    Parameters
    ----------
    store : Store
    cell : KeptCell
    kind : Method
        See `code_of`.
    grid : TrainingGrid
    settings : Settings
    device : torch.device
    changed : tuple of str
        See `changed_since`.

    Raises
    ------
    UserError
        If the weights are not those of this class, or the network that has them does not answer
        as the trained one did although its code is the same.
    """
    from benchmark.training.kept import REMEDY, load_into
    from benchmark.training.witness import answers_otherwise, made_up_scan

    weights = store.weights(cell.folder)
    where = f"{store.cells / cell.folder}"
    try:
        options, width = built_with(
            cell.ledger, cell.key["options"], settings.of(kind.family).width
        )
        model = kind.load()(grid.shape, CHANNELS, width, **options)
        load_into(model, weights)
        model = model.to(device).eval()
        scan = made_up_scan(grid.shape, CHANNELS)
        apart = answers_otherwise(model, weights, scan, settings, device)
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        reason = " ".join(str(error).split())[:160]
        raise UserError(
            f"{where}: kept by another version of {cell.key['method']}: the weights are not those "
            f"of {cell.title} as it is here ({reason}); use the version that trained it, or run "
            "the suite again"
        ) from error
    notes = []
    if changed:
        notes.append(
            f"{' and '.join(changed)} changed since {cell.title} was trained: labels may differ "
            "from those its run was judged by"
        )
    if apart and (changed or cell.ledger.get("device") != device.type):
        notes.append(
            f"on a made-up scan {cell.title} answers otherwise here than where it was trained (by "
            f"up to {apart:.2g})"
        )
    elif apart:
        raise UserError(
            f"{where}: with these weights {cell.title} answers otherwise than the trained network "
            f"did (by up to {apart:.2g} on a made-up scan), so they are not the whole network: "
            f"{REMEDY}; then run the suite again"
        )
    return model, tuple(notes)


def _identity(checkpoint: Path, cell: KeptCell, *otherwise: str) -> str:
    """``otherwise``: what the grid is centred on, if not on what it was in training."""
    weights = sha256(checkpoint)
    # one set of weights may be tested with a view missing: another key
    return hashlib.sha256(repr((cell.key, weights, *otherwise)).encode()).hexdigest()[:16]
