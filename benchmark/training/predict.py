"""From a trained network to what is kept of a cell: classes, overlap and scores of every scan."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from benchmark import inference
from benchmark.contract import probabilities
from benchmark.methods import Method
from benchmark.training.prepare import Example
from benchmark.training.recipe import autocast
from benchmark.training.settings import Settings
from benchmark.training.witness import Witness

LARGEST_LOG_SCORE = 20.0
"""ln(1 + score) above this (4.8e8) is not a score: such an estimate counts as missing."""


@dataclass
class CellResult:
    """What one cell produced.

    Attributes
    ----------
    method : str
    seed : int
    ids : list of str
        Test scans.
    reference : ndarray, (n, 3, 4)
    mask, head : ndarray, (n, 3, 4), or None
        Estimated scores from the labels and from the score head; NaN where the method failed.
    tp, fp, fn : ndarray, (n, 4), mm3, or None
    worst_fp : ndarray, (n, 4), mm3
        Volume of all candidates outside the reference: what a failed scan costs.
    components : list of ndarray of uint8, or None
        Class of each candidate component of each scan (entry 0: background).
    ledger : dict
    curve : list of (stage, share spent, samples, loss)
    notes : tuple of str
    state : dict of Tensor
        Weights, on the CPU.
    witness : Witness or None
        What the trained network answered, to be compared with what the kept weights give.
    """

    method: str
    seed: int
    ids: list[str]
    reference: np.ndarray
    worst_fp: np.ndarray
    mask: np.ndarray | None = None
    head: np.ndarray | None = None
    tp: np.ndarray | None = None
    fp: np.ndarray | None = None
    fn: np.ndarray | None = None
    components: list[np.ndarray] | None = None
    ledger: dict = field(default_factory=dict)
    curve: list = field(default_factory=list)
    notes: tuple[str, ...] = ()
    state: dict[str, torch.Tensor] = field(default_factory=dict)
    witness: Witness | None = field(default=None, repr=False)


def predict(
    model: nn.Module,
    method: Method,
    test: tuple[Example, ...],
    settings: Settings,
    device: torch.device,
    result: CellResult,
) -> None:
    """Fill a result's predictions: labels by component vote, and scores from mask and head."""
    model.eval()
    count = len(test)
    has_mask, has_head = "mask" in method.outputs, "head" in method.outputs
    if has_head:
        result.head = np.full((count, 3, 4), np.nan)
    if has_mask:
        expect_masks(result)
    for begin in range(0, count, settings.batch_size):
        chunk = test[begin : begin + settings.batch_size]
        image = torch.from_numpy(np.stack([e.image for e in chunk])).float().to(device)
        with torch.no_grad(), autocast(settings, device):
            output = model(image)
        if has_head:
            log_scores = output["scores"].float().cpu().numpy().astype(np.float64)
            log_scores[~(np.abs(log_scores) <= LARGEST_LOG_SCORE)] = np.nan
            # a negative score is no score: the clinic's scale starts at 0
            result.head[begin : begin + len(chunk)] = np.maximum(np.expm1(log_scores), 0).reshape(
                -1, 3, 4
            )
        if has_mask:
            share = probabilities(output["logits"]).cpu().numpy()
            for i, example in enumerate(chunk):
                finite = bool(np.isfinite(share[i]).all())
                record_mask(
                    result,
                    begin + i,
                    example,
                    inference.vote(share[i], example.candidates) if finite else None,
                )


def expect_masks(result: CellResult) -> None:
    """Make room for the masks of all scans, to be filled by :func:`record_mask` in order."""
    count = len(result.ids)
    result.mask = np.full((count, 3, 4), np.nan)
    result.tp, result.fp, result.fn = (np.zeros((count, 4)) for _ in range(3))
    result.components = []


def record_mask(result: CellResult, row: int, example: Example, classes: np.ndarray | None) -> None:
    """Keep one scan's classes, overlap and scores; None: the network gave no finite answer."""
    if classes is None:
        # left as NaN: the metrics put the worst value in its place
        result.tp[row] = result.fp[row] = result.fn[row] = np.nan
        result.components.append(np.zeros(example.candidates.count + 1, np.uint8))
        return
    result.components.append(classes)
    result.tp[row], result.fp[row], result.fn[row] = inference.overlap(
        classes, example.candidates, example.voxel_mm3
    )
    result.mask[row] = example.estimated_scores(classes)
