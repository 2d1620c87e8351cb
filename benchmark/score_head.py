"""From what a head says of each slice to the twelve scores of the scan: one form for every method.

Like :mod:`benchmark.contract` this depends on nothing else of the harness, so that a network that
imports it stays usable alone.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.contract import SCORE_COUNT

FORMS = ("presence", "scores", "logarithms")
"""Ways to add up slices; see :class:`SliceSum`."""

PRESENCES = 4
"""LAD, LCX, RCA, whole: an artery's three scores are zero in the same slices."""

LAST_LAYER_SD = 0.1
"""SD of the first weights of the last layers. With 0.01 the layers below hardly get a gradient in a
short budget."""

FIRST_PRESENCE = 0.1
"""First probability that a slice holds calcium of an artery."""

SCALE = 10.0
"""Score (Agatston, mm3 or mg) that a slice's softplus of 1 stands for, with form "scores"."""

LARGEST_LOG = 15.0
"""Largest ln(1 + score) of a slice that is exponentiated: beyond any slice, and no overflow."""

HEAD_SAMPLES = 4.0
"""In a budget of steps or samples, scans that a head on kept features sees for each that its trunk
saw. A step is much cheaper than the trunk's (the board has both rates), and a head goes on learning
for thousands of them."""


def kept_note(what: str, share: float = 0.25) -> str:
    """How long the layers of a head learn on kept features, for a method's notes."""
    return (
        f"{what} alone on kept features: the last {share:.0%} of a budget in seconds or FLOPs; "
        f"{HEAD_SAMPLES:g} samples for each of the trunk's on top of one in steps or samples"
    )


class SliceSum(nn.Module):
    """Scores of a scan from the outputs of its slices: scores add up over slices.

    * ``presence``: each slice has a probability that it holds calcium of an artery (4 more
      outputs: LAD, LCX, RCA, whole) times the score that it adds if it does; their sum is the
      score. Most slices hold none, so that an output for the score alone learns to be zero, and
      where it does so through an activation that flattens (a softplus) its gradient is gone with it
      and the output stays a constant. The probability is learnt by cross entropy, whose gradient is
      largest where it is wrong, and the amount from slices with calcium alone.
    * ``scores``: softplus of each output times a fixed scale, summed.
    * ``logarithms``: plain outputs, whose sum is compared with ln(1 + score), as MMWFAnet's paper
      prints it.

    Parameters
    ----------
    hidden : int
        Values a slice before the last layer.
    slices : int
        Z of the training grid; the first output then is ``start`` for whatever Z.
    form : "presence", "scores" or "logarithms"
    start : float
        First value of ln(1 + score), near the mean of a cohort.

    Raises
    ------
    ValueError
        If there is no such form.
    """

    def __init__(
        self, hidden: int, slices: int, form: str = "presence", start: float = 3.0
    ) -> None:
        super().__init__()
        if form not in FORMS:
            raise ValueError(f"the form is one of {', '.join(FORMS)}, not {form!r}")
        self.form = form
        self.presence = None
        each = math.expm1(start) / slices
        if form == "presence":
            self.presence = nn.Linear(hidden, PRESENCES)
            nn.init.normal_(self.presence.weight, std=LAST_LAYER_SD)
            nn.init.constant_(self.presence.bias, math.log(FIRST_PRESENCE / (1 - FIRST_PRESENCE)))
            self.start_bias = _inverse_softplus(math.log1p(each / FIRST_PRESENCE))
        elif form == "scores":
            self.start_bias = _inverse_softplus(each / SCALE)
        else:
            self.start_bias = start / slices

    def initialise(self, weight: Tensor, bias: Tensor) -> None:
        """First values of the last layer, in place: ``bias`` gives ``start`` to codes of zeros."""
        nn.init.normal_(weight, std=LAST_LAYER_SD)
        nn.init.constant_(bias, self.start_bias)

    def forward(self, codes: Tensor, outputs: Tensor) -> dict[str, Tensor]:
        """Scores of the scan and of its slices.

        Parameters
        ----------
        codes : Tensor, (B, Z, hidden)
            What the last layer saw; for the probabilities.
        outputs : Tensor, (B, Z, 12)
            Of the last layer.

        Returns
        -------
        dict
            ``scores`` (B, 12), ln(1 + score). Unless logarithms are summed also ``slice_scores``
            (B, Z, 12), ln(1 + what the slice adds), and with "presence" ``slice_presence``
            (B, Z, 4), logits, and ``slice_amounts`` (B, Z, 12), ln(1 + what the slice adds if it
            holds calcium).
        """
        outputs = _wide(outputs)
        if self.form == "logarithms":
            return {"scores": outputs.sum(dim=1)}
        if self.form == "scores":
            parts = SCALE * F.softplus(outputs)
            more = {}
        else:
            logits = _wide(self.presence(codes))
            amounts = F.softplus(outputs)
            chance = torch.sigmoid(logits).repeat(1, 1, SCORE_COUNT // PRESENCES)
            parts = chance * torch.expm1(amounts.clamp(max=LARGEST_LOG))
            more = {"slice_presence": logits, "slice_amounts": amounts}
        return {
            "scores": torch.log1p(parts.sum(dim=1)),
            "slice_scores": torch.log1p(parts),
            **more,
        }


def _wide(values: Tensor) -> Tensor:
    """Half precision as float32; what is wider stays as it is."""
    return values if values.dtype == torch.float64 else values.float()


def _inverse_softplus(value: float) -> float:
    return value + math.log(-math.expm1(-value))
