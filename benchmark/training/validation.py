"""How good a network is on scans held out of its training, as one figure to choose settings by."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmark import inference
from benchmark.contract import probabilities
from benchmark.metrics.columns import weighted_icc
from benchmark.metrics.overlap import pooled_ratios
from benchmark.training.clock import Spending
from benchmark.training.predict import LARGEST_LOG_SCORE
from benchmark.training.prepare import Example
from benchmark.training.recipe import autocast
from benchmark.training.settings import Settings

WORDS = {"mask": "mean artery F1", "head": "mean ICC"}


def objective_words(outputs: tuple[str, ...]) -> str:
    """What `validate` gives, in words."""
    parts = [words for kind, words in WORDS.items() if kind in outputs]
    return parts[0] if len(parts) == 1 else f"mean of {' and '.join(parts)}"


@torch.no_grad()
def validate(
    model: nn.Module,
    outputs: tuple[str, ...],
    examples: tuple[Example, ...],
    settings: Settings,
    device: torch.device,
    spending: Spending,
) -> float:
    """Judge a network by its own outputs; it is left in evaluation mode.

    Parameters
    ----------
    model : nn.Module
    outputs : tuple of str
        "mask": the mean over LAD, LCX and RCA of the F1 score of the pooled volumes. "head": the
        mean ICC of the 12 scores. Both: the mean of the two.
    examples : tuple of Example
    settings : Settings
    device : torch.device
    spending : Spending
        Gets the device-seconds and operations of the passes through the network, which are part of
        what a search costs. No sample is trained on; the vote and the metrics are the harness's.

    Returns
    -------
    float
        0 where an output is not finite; figures that the scans leave undefined are left out.
    """
    model.eval()
    volumes, estimates = [], []
    first = torch.from_numpy(examples[0].image[None]).float().to(device)
    # outside the clock, as a stage's first step
    with FlopCounterMode(display=False) as counter, autocast(settings, device):
        model(first)
    flops = counter.get_total_flops()
    for begin in range(0, len(examples), settings.batch_size):
        chunk = examples[begin : begin + settings.batch_size]
        image = torch.from_numpy(np.stack([e.image for e in chunk])).float().to(device)
        with spending.clock, autocast(settings, device):
            output = model(image)
        spending.add(0, 0, flops * len(chunk))
        if "mask" in outputs:
            share = probabilities(output["logits"]).cpu().numpy()
            if not np.isfinite(share).all():
                return 0.0
            volumes += [
                inference.overlap(inference.vote(one, e.candidates), e.candidates, e.voxel_mm3)
                for one, e in zip(share, chunk, strict=True)
            ]
        if "head" in outputs:
            scores = output["scores"].float().cpu().numpy().astype(np.float64)
            if not (np.abs(scores) <= LARGEST_LOG_SCORE).all():
                return 0.0
            estimates += list(np.maximum(np.expm1(scores), 0))
    figures = []
    if volumes:
        tp, fp, fn = np.stack(volumes).transpose(1, 0, 2)  # each (n, 4)
        figures.append(_mean(pooled_ratios(tp, fp, fn)["F1"][0, :3]))
    if estimates:
        reference = np.stack([e.scores.reshape(-1) for e in examples])
        figures.append(_mean(weighted_icc(reference, np.stack(estimates))[0]))
    return float(np.mean(figures))


def _mean(values: np.ndarray) -> float:
    defined = values[np.isfinite(values)]
    return float(defined.mean()) if len(defined) else 0.0
