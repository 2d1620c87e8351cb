"""What a network owes the harness, and what the harness hands to a network.

A method is a ``torch.nn.Module`` class with this constructor and forward::

    class Net(torch.nn.Module):
        outputs = ("mask",)                 # any of "mask", "head"
        notes = ("what differs from the published form, and why",)

        def __init__(self, grid, in_channels, width): ...

        def forward(self, image):           # (B, C, Z, Y, X), float
            return {"logits": ...,          # (B, 4, Z, Y, X): background, LAD, LCX, RCA
                    "scores": ...}          # (B, 12): ln(1 + score), see below

``grid`` is the (Z, Y, X) shape of the training grid, ``width`` the channels of the first layers.
A method whose ``outputs`` hold "mask" gives ``logits``; "head" gives ``scores``. The 12 scores
are [Agatston, volume (mm3), mass (mg)] x [LAD, LCX, RCA, whole] in that order, as the natural
logarithm of one plus the score.

A head that works slice by slice may also give ``slice_scores`` (B, Z, 12), the natural logarithm of
one plus what each slice adds; it is then supervised slice by slice as well.
:class:`benchmark.score_head.SliceSum` makes both, in the form that all of the suite's heads share.

That is enough: the harness then trains it with :func:`default_losses`. A method that needs more
defines any of

* ``losses(output, batch) -> dict[str, Tensor]``: named terms, added up;
* ``stages() -> list[Stage]``: several stages of training, each with a share of the one budget
  (pretraining, a head on kept features, an adversary);
* ``after_step()``: called after every optimiser step of a stage (closed-form updates);
* ``tunable``: what ``--tune`` may try beside the learning rate, by name: an option's range or
  choices, ``{"omega": (0.1, 1.0, "log"), "pooling": ["mean", "max"]}``, or multiples of the
  suite's ``width``, ``weight_decay`` or ``learning_rate``, ``{"width": [0.75, 1.0, 1.5]}``
  (benchmark/tunable.py);
* ``per_scan``: names of attributes that the network keeps from one step to the next and whose
  tensors have a row for each scan of the batch.

What a network learns, or draws when it is built, must lie in parameters, in persistent buffers, or
in what ``get_extra_state`` gives (tensors, arrays, numbers, text, lists and dicts of these): the
harness compares the trained network with another instance that has the kept weights.

Where several devices share a batch, each has its part, and the mean of their losses is minimised.
Losses that are means over scans need nothing for that; sums over the whole batch that meet in a
quotient (class weights, Dice) go through :func:`sum_over_devices`.

Nothing here depends on the rest of the harness, so networks that import it stay usable alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_SHARING: dict = {"count": 1, "sum": None}
"""Set by the harness while several devices share a batch."""


def device_count() -> int:
    """Devices that share the batch, 1 for most trainings."""
    return _SHARING["count"]


def sum_over_devices(value: Tensor) -> Tensor:
    """Sum of a tensor over the devices that share the batch, with its gradient.

    On one device it is the tensor itself, so a loss may use it wherever a sum, not a mean, over
    the batch's scans is meant.

    Parameters
    ----------
    value : Tensor
        The same shape on every device; every device must come here equally often.
    """
    return value if _SHARING["sum"] is None else _SHARING["sum"](value)


def gathers(cells: Tensor) -> bool:
    """Whether a loss does best to gather the candidate cells, a tenth of all, before it works.

    A GPU would have to be waited for to know how many there are, devices that share a batch have
    unequal numbers, and a compiled loss would be compiled anew for each number: there all cells are
    worked on, those that do not count times zero.
    """
    return not (cells.is_cuda or device_count() > 1 or torch.compiler.is_compiling())


CLASSES = 4
"""Background, LAD (with the left main), LCX, RCA."""

SCORE_COUNT = 12
"""Agatston, volume, mass x LAD, LCX, RCA, whole."""


@dataclass(frozen=True)
class Batch:
    """Scans on the training grid.

    Attributes
    ----------
    image : Tensor, (B, C, Z, Y, X), float32
        Channels: windowed mean HU of the cell, windowed maximum HU, share of the cell above 130 HU.
    target : Tensor, (B, Z, Y, X), int64
        Class of each cell: that of most of its candidate voxels.
    candidate : Tensor, (B, Z, Y, X), bool
        Cells that hold a voxel above 130 HU. Elsewhere the class is background by definition, so
        segmentation losses count here alone.
    scores : Tensor, (B, 12), float32
        ln(1 + reference score).
    slice_scores : Tensor, (B, Z, 12), float32
        ln(1 + what the slice adds to the reference score). Scores add up over slices.
    kept : dict[str, Tensor]
        What the stage's ``keep`` function gave for these scans; empty in other stages.
    """

    image: Tensor
    target: Tensor
    candidate: Tensor
    scores: Tensor
    slice_scores: Tensor
    kept: dict[str, Tensor] = field(default_factory=dict)

    def to(self, device: torch.device) -> Batch:
        """The same batch on ``device``."""

        def move(tensor: Tensor) -> Tensor:
            if device.type == "cuda" and tensor.device.type == "cpu":
                tensor = tensor.pin_memory()  # else the copy waits, whatever it is told
            return tensor.to(device, non_blocking=True)

        kept = {name: move(tensor) for name, tensor in self.kept.items()}
        return Batch(
            move(self.image),
            move(self.target),
            move(self.candidate),
            move(self.scores),
            move(self.slice_scores),
            kept,
        )


@dataclass
class Stage:
    """One stage of training: what is optimised, with which loss, for which share of the budget.

    Attributes
    ----------
    name : str
        Shown while it runs and in the ledger; each stage of a method has its own.
    share : float
        Share of the method's budget, above 0; the shares of a method add up to 1. In a budget of
        steps or samples those that are not `apart` share it in these proportions.
    losses : callable
        ``losses(batch) -> dict[str, Tensor]``; the terms are added up.
    parameters : iterable of Parameter
        What this stage's optimiser moves.
    learning_rate : float
        Multiple of the suite's learning rate (a declared need of the method; 1 for most).
    batch_scale : int
        Multiple of the suite's batch size.
    keep : callable, optional
        ``keep(image) -> dict[str, Tensor]``: features computed once for each training scan at the
        start of the stage, under the budget and without gradient; the stage then runs on these
        (``batch.kept``) and never calls the trunk. ``batch.image`` is then empty, and there is no
        augmentation.
    opponent_parameters, opponent_losses
        An adversary: its own optimiser takes one step on ``opponent_losses(batch)`` before each
        step of the stage.
    apart : float
        Where above 0, a budget of steps or samples does not hold the stage, so that every method
        learns from as many whole scans: a pretraining that sees no image, say. It then takes this
        multiple of the budget on top, and the board shows it. Device-seconds and operations count
        all the same. A stage with `keep`, whose steps are cheap, has 1 unless it says otherwise.
    """

    name: str
    share: float
    losses: Callable[[Batch], dict[str, Tensor]]
    parameters: Iterable[nn.Parameter]
    learning_rate: float = 1.0
    batch_scale: int = 1
    keep: Callable[[Tensor], dict[str, Tensor]] | None = None
    opponent_parameters: Iterable[nn.Parameter] | None = None
    opponent_losses: Callable[[Batch], dict[str, Tensor]] | None = None
    apart: float = 0.0

    def __post_init__(self) -> None:
        if self.keep is not None and not self.apart:
            self.apart = 1.0
        # generators would be empty after the first use
        self.parameters = list(self.parameters)
        if self.opponent_parameters is not None:
            self.opponent_parameters = list(self.opponent_parameters)


def class_weights(target: Tensor, power: float = 0.25) -> Tensor:
    """Weights (4,) that fall with a class's frequency in the batch, of mean 1 over its cells.

    Most candidate cells are bone, and a lesion of the LCX is one cell in hundreds: unweighted, a
    network that never says LCX has almost no loss.

    Parameters
    ----------
    target : Tensor, (cells,), int64
    power : float
        0: none; 1: every class counts the same in total; in between, a compromise.
    """
    return _weights_of(torch.bincount(target, minlength=CLASSES).float(), power)


def _weights_of(counts: Tensor, power: float = 0.25) -> Tensor:
    """What :func:`class_weights` gives, from the number of cells of each class."""
    weight = counts.clamp(min=1).pow(-power) * (counts > 0)
    return weight * counts.sum() / (weight * counts).sum().clamp(min=1e-6)


def candidate_cross_entropy(logits: Tensor, batch: Batch) -> Tensor:
    """Cross entropy over the candidate cells, classes weighted by :func:`class_weights`.

    Parameters
    ----------
    logits : Tensor, (B, 4, Z, Y, X)
    batch : Batch

    Returns
    -------
    Tensor
        Scalar; 0 (with a gradient) when the batch holds no candidate at all.
    """
    if not gathers(logits):
        return _masked_cross_entropy(logits, batch)
    chosen = batch.candidate
    if not bool(chosen.any()):
        return logits.sum() * 0.0
    # (B, 4, Z, Y, X) -> (candidates, 4)
    rows = logits.movedim(1, -1)[chosen].float()
    target = batch.target[chosen]
    return F.cross_entropy(rows, target, weight=class_weights(target))


def _masked_cross_entropy(logits: Tensor, batch: Batch) -> Tensor:
    """The same over all cells, those that do not count times zero."""
    chosen = batch.candidate.unsqueeze(1)
    truth = (batch.target.unsqueeze(1) == _classes(logits)) & chosen  # (B, 4, Z, Y, X)
    counts = sum_over_devices(truth.sum(dim=(0, 2, 3, 4)).float())
    each = _weights_of(counts).view(1, -1, 1, 1, 1) * truth
    right = sum_over_devices((each * logits.float().log_softmax(dim=1)).sum())
    return -right / sum_over_devices(each.sum()).clamp(min=1e-6)


def _classes(logits: Tensor) -> Tensor:
    """0 to 3 along the axis of classes, (1, 4, 1, 1, 1)."""
    return torch.arange(logits.shape[1], device=logits.device).view(1, -1, 1, 1, 1)


DICE_WEIGHTINGS = ("sudre", "uniform")


def generalised_dice(
    logits: Tensor, target: Tensor, mask: Tensor, weighting: str = "sudre"
) -> Tensor:
    """One minus the generalised Dice index over the masked cells of the whole batch.

    Sudre's form (Sudre et al., DLMIA 2017) weights each class by the inverse square of its volume,
    so that a small artery counts as much as a large one; ``uniform`` leaves the classes unweighted,
    summing intersections and volumes over them. MMWFAnet's paper cites Liu (2010) for the index,
    whose name elsewhere stands for Sudre's.

    Parameters
    ----------
    logits : Tensor, (B, 4, Z, Y, X)
    target : Tensor, (B, Z, Y, X), int64
    mask : Tensor, (B, Z, Y, X), bool
        Cells that count: the candidates.
    weighting : "sudre" or "uniform"

    Returns
    -------
    Tensor
        Scalar in 0..1; 0, with a gradient, if no cell counts.
    """
    if not gathers(logits):
        share, truth = _cells_of_all(logits, target, mask)
    else:
        rows = logits.movedim(1, -1)[mask].float()  # (cells, 4)
        if len(rows) == 0:
            return logits.sum() * 0.0
        share = rows.softmax(dim=1)
        truth = F.one_hot(target[mask], logits.shape[1]).to(share.dtype)
    volume = sum_over_devices(truth.sum(dim=0))
    if weighting == "sudre":
        # a class absent from the batch would weigh infinitely: it takes the largest finite weight
        weight = torch.where(volume > 0, 1 / volume.clamp(min=1) ** 2, 0.0)
        weight = torch.where(volume > 0, weight, weight.max())
    else:
        weight = torch.ones_like(volume)
    overlap = (weight * sum_over_devices((share * truth).sum(dim=0))).sum()
    total = (weight * sum_over_devices((share + truth).sum(dim=0))).sum()
    loss = 1 - 2 * overlap / total.clamp(min=1e-8)
    return torch.where(volume.sum() > 0, loss, 0 * loss)


def _cells_of_all(logits: Tensor, target: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Class shares and truth of all cells, (cells, 4), zero where a cell does not count."""
    keep = mask.unsqueeze(-1)
    rows = logits.movedim(1, -1)
    kinds = torch.arange(logits.shape[1], device=logits.device)
    share = rows.float().softmax(dim=-1) * keep
    truth = (target.unsqueeze(-1) == kinds) & keep
    return share.flatten(0, 3), truth.flatten(0, 3).to(share.dtype)


def segmentation_loss(logits: Tensor, batch: Batch) -> Tensor:
    """The suite's one loss of a mask: cross entropy plus generalised Dice, on the candidates.

    Every network that segments is trained with it, so that a row does not owe its place to its
    loss (docs/recipe.md). A network whose paper asks for another loss offers that as an
    option, a row of its own.

    Parameters
    ----------
    logits : Tensor, (B, 4, Z, Y, X)
    batch : Batch

    Returns
    -------
    Tensor
        Scalar; 0 (with a gradient) when the batch holds no candidate at all.
    """
    dice = generalised_dice(logits, batch.target, batch.candidate)
    return candidate_cross_entropy(logits, batch) + dice


PRESENCE_FROM = slice(4, 8)
"""Of the 12 scores, those whose being above zero says that there is calcium: the volumes."""

SLICE_WEIGHT = 2.0
"""Weight of the slices' term beside the scan's in :func:`score_error`."""


def score_error(output: dict[str, Tensor], batch: Batch) -> Tensor:
    """Error of the 12 log scores: the paper's L_qua, and the same slice by slice.

    The scan's term is the paper's: mean absolute error of ln(1 + score). Alone it teaches nothing
    in a small budget: for most arteries the median score is zero, where an absolute error is
    content, and one number a scan does not say which of hundreds of candidates it counts.
    Calcium scores are sums over slices, so the reference knows each slice's part; the slices' term
    (:func:`slice_error`) aims at means, not at the median (docs/recipe.md). Indices-Net and DMTRL
    are trained on each 2D image's indices in their own papers.

    Parameters
    ----------
    output : dict
        ``scores`` (B, 12), and what :func:`slice_error` takes where the head works slice by slice.
    batch : Batch

    Returns
    -------
    Tensor
        Scalar.
    """
    return (output["scores"] - batch.scores).abs().mean() + SLICE_WEIGHT * slice_error(
        output, batch
    )


def slice_error(output: dict[str, Tensor], batch: Batch) -> Tensor:
    """Error of what the slices add, without its weight; 0 for a head that knows no slices.

    The mean squared error of ``slice_scores``, or for a head that also gives ``slice_presence`` the
    mean cross entropy of that and the squared error of ``slice_amounts`` where there is calcium.

    Parameters
    ----------
    output : dict
    batch : Batch

    Returns
    -------
    Tensor
        Scalar.
    """
    if "slice_presence" in output:
        return presence_error(output, batch) + amount_error(output, batch)
    if "slice_scores" in output:
        return (output["slice_scores"] - batch.slice_scores).square().mean()
    return output["scores"].new_zeros(())


def presence_error(output: dict[str, Tensor], batch: Batch) -> Tensor:
    """Mean cross entropy of ``slice_presence``, (B, Z, 4), against slices that hold calcium."""
    # the Agatston scores can be 0 where there is calcium: lesions below 1 mm2; the volume is not
    volume = batch.slice_scores[..., PRESENCE_FROM]
    logits = output["slice_presence"]
    return F.binary_cross_entropy_with_logits(logits, (volume > 0).to(logits.dtype))


def amount_error(output: dict[str, Tensor], batch: Batch) -> Tensor:
    """Squared error of ``slice_amounts`` where there is calcium, as a mean over all slices."""
    there = batch.slice_scores > 0
    return ((output["slice_amounts"] - batch.slice_scores).square() * there).mean()


def default_losses(output: dict[str, Tensor], batch: Batch) -> dict[str, Tensor]:
    """:func:`segmentation_loss` for logits, :func:`score_error` for scores."""
    terms = {}
    if "logits" in output:
        terms["segmentation"] = segmentation_loss(output["logits"], batch)
    if "scores" in output:
        terms["scores"] = score_error(output, batch)
    return terms


def losses_of(model: nn.Module, output: dict[str, Tensor], batch: Batch) -> dict[str, Tensor]:
    """The model's own losses where it defines them, the default ones elsewhere."""
    own = getattr(model, "losses", None)
    return own(output, batch) if own is not None else default_losses(output, batch)


def stages_of(model: nn.Module) -> list[Stage]:
    """The model's own stages, or one stage over the whole model."""
    own = getattr(model, "stages", None)
    if own is not None:
        return own()

    def joint(batch: Batch) -> dict[str, Tensor]:
        return losses_of(model, model(batch.image), batch)

    return [Stage("training", 1.0, joint, list(model.parameters()))]


def parameter_count(model: nn.Module) -> int:
    """Number of trainable values."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


@torch.no_grad()
def probabilities(logits: Tensor) -> Tensor:
    """Class probabilities, (B, 4, Z, Y, X), from logits of the same shape."""
    return logits.float().softmax(dim=1)
