"""What ties or weighs the tasks in the place of the paper's: others' work, for its Table 3.

:class:`RelationPrior` and :class:`ReverseMapping` are also the heart of the networks that stand
alone in Table 1 (``baselines.dmtrl``, ``baselines.arm_mtl``).
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from benchmark.contract import Batch, amount_error, presence_error


class RelationPrior(nn.Module):
    """The relationship matrix of DMTRL (Xue et al., Medical Image Analysis 43, 2018).

    A last layer's weights W (tasks x inputs) have a matrix-normal prior whose relationship matrix
    Omega (tasks x tasks) is learnt: the loss holds tr(W^T Omega^-1 W), and Omega is set in closed
    form to (W W^T)^(1/2) / tr((W W^T)^(1/2)), in turn with the optimiser's steps.

    Parameters
    ----------
    tasks : int
    every : int
        Optimiser steps between two updates of Omega.
    floor : float
        Share of the identity / tasks that is mixed into Omega, so that it can be inverted.
    """

    def __init__(self, tasks: int, every: int = 10, floor: float = 0.01) -> None:
        super().__init__()
        self.every, self.floor = every, floor
        self.register_buffer("omega", torch.eye(tasks) / tasks)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def forward(self, weight: Tensor) -> Tensor:
        """The penalty tr(W^T Omega^-1 W) of W, (tasks, inputs); a scalar."""
        # the solver knows no half precision
        with torch.autocast(weight.device.type, enabled=False):
            weight = weight.float()
            return (weight * torch.linalg.solve(self.omega, weight)).sum()

    @torch.no_grad()
    def update(self, weight: Tensor) -> None:
        """Count an optimiser step; every few steps, Omega in closed form from the present W."""
        self.steps += 1
        if int(self.steps) % self.every:
            return
        weight = weight.double()
        values, vectors = torch.linalg.eigh(weight @ weight.T)
        # columns of vectors are eigenvectors: V sqrt(D) V^T
        root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
        omega = root / root.trace().clamp(min=1e-12)
        identity = torch.eye(len(omega), dtype=omega.dtype, device=omega.device)
        self.omega.copy_((1 - self.floor) * omega + self.floor * identity / len(omega))


SCORE_UNIT = 8.0
"""ln(1 + score) is divided by this before it meets features: 8 stands for a score of 3000."""


class ReverseMapping(nn.Module):
    """Adversarial reverse mapping after Yu et al. (IEEE TNNLS, 2020), in style.

    A head of two matrices maps a scan's features to its scores. The reverse network maps scores
    back to features through the same matrices, transposed. A discriminator sees pairs: (features
    of the image, estimated scores) and (reversed features, true scores); both networks are trained
    to have theirs taken for the other's, which brings what the reverse mapping knows of the scores'
    dependencies to the forward one.

    The original's layers and losses are not known to us: the discriminator's size, its spectral
    normalisation, and features of mean 0 and norm 1 a scan are ours. It learns from the pairs of
    the step before, which saves a second pass.

    Parameters
    ----------
    features, hidden, scores : int
        Sizes of the head: features -> hidden -> scores.
    attached : bool
        Whether the features, too, are drawn towards what the reverse network makes of the scores.
        Without, its error reaches the matrices alone and the trunk learns nothing of it.
    """

    per_scan = ("_pairs",)

    def __init__(self, features: int, hidden: int, scores: int, attached: bool = True) -> None:
        super().__init__()
        self.attached = attached
        # not batch norm: a scan is one row here, and the paper tier has one scan a step
        self.norm = nn.LayerNorm(hidden)
        self.bias = nn.Parameter(torch.zeros(features))
        self.discriminator = nn.Sequential(
            spectral_norm(nn.Linear(features + scores, hidden)),
            nn.LeakyReLU(0.2),
            spectral_norm(nn.Linear(hidden, hidden)),
            nn.LeakyReLU(0.2),
            spectral_norm(nn.Linear(hidden, 1)),
        )
        self._pairs: tuple[Tensor, Tensor] | None = None

    @property
    def ready(self) -> bool:
        """Whether there are pairs of a step before for :meth:`opponent_loss`."""
        return self._pairs is not None

    def opponent_parameters(self) -> list[nn.Parameter]:
        """The discriminator's, for its own optimiser."""
        return list(self.discriminator.parameters())

    def forward(self, scores: Tensor, to_hidden: Tensor, to_scores: Tensor) -> Tensor:
        """Features (B, features) from ln(1 + score) (B, scores).

        Parameters
        ----------
        scores : Tensor
        to_hidden : Tensor, (hidden, features)
        to_scores : Tensor, (scores, hidden)
            The head's own matrices; they are used transposed.
        """
        hidden = F.linear(scores / SCORE_UNIT, to_scores.t())
        hidden = F.leaky_relu(self.norm(hidden), 0.1)
        return F.relu(F.linear(hidden, to_hidden.t(), self.bias))

    def losses(
        self,
        features: Tensor,
        estimate: Tensor,
        truth: Tensor,
        to_hidden: Tensor,
        to_scores: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """The two terms of the networks, unweighted; keeps the pairs for the discriminator.

        Parameters
        ----------
        features : Tensor, (B, features)
            What the head saw of each scan.
        estimate, truth : Tensor, (B, scores)
            ln(1 + score).
        to_hidden, to_scores : Tensor
            See :meth:`forward`.

        Returns
        -------
        tuple
            The reversed features' distance from the features, and the adversarial term.
        """
        back = self(truth, to_hidden, to_scores)
        forward_pair, reverse_pair = _pair(features, estimate), _pair(back, truth)
        self._pairs = forward_pair.detach(), reverse_pair.detach()
        # both networks try to have their pairs taken for the other's
        confusion = _told_apart(self.discriminator(reverse_pair), self.discriminator(forward_pair))
        return F.l1_loss(back, features if self.attached else features.detach()), confusion

    def opponent_loss(self) -> Tensor:
        """The discriminator's own loss, on the pairs of the step before."""
        ahead, back = self._pairs
        return _told_apart(self.discriminator(ahead), self.discriminator(back))


def _pair(features: Tensor, scores: Tensor) -> Tensor:
    """What the discriminator sees: features of mean 0 and norm 1 a scan, and scaled scores."""
    flat = features.float()
    flat = F.normalize(flat - flat.mean(dim=1, keepdim=True), dim=1)
    return torch.cat([flat, scores / SCORE_UNIT], dim=1)


def _told_apart(first: Tensor, second: Tensor) -> Tensor:
    """Cross entropy of calling the first 1 and the second 0."""
    return (F.softplus(-first.float()).mean() + F.softplus(second.float()).mean()) / 2


class TaskUncertainty(nn.Module):
    """Learned log-variances in the place of task weights (Kendall, Gal, Cipolla, CVPR 2018).

    With s the log-variance of a loss L, the objective holds

    * exp(-s) L + s / 2 for segmentation: the published form of a cross entropy, taken over for the
      generalised Dice loss, which has no likelihood;
    * |e| / b + log b for the scan's scores, whose error is absolute: Laplace's likelihood, of
      variance exp(s) = 2 b^2;
    * exp(-s) e^2 / 2 + s / 2 for the slices' scores, whose error is squared: Gauss's likelihood,
      with a variance of their own, since a slice's score is not known as well as a scan's; where
      the head has probabilities of calcium, over the slices that hold some;
    * exp(-s) L + s / 2 for these probabilities' cross entropy.

    All start at s = 0.

    Parameters
    ----------
    tasks : iterable of str
        Of "segmentation", "scores", "slices" and "presence".
    """

    def __init__(self, tasks: Iterable[str]) -> None:
        super().__init__()
        self.log_variance = nn.ParameterDict({t: nn.Parameter(torch.zeros(())) for t in tasks})

    def score_parameters(self) -> list[nn.Parameter]:
        """The log-variances of the scores' two errors."""
        return [s for name, s in self.log_variance.items() if name != "segmentation"]

    def segmentation(self, loss: Tensor) -> Tensor:
        """The weighed segmentation loss."""
        s = self.log_variance["segmentation"]
        return torch.exp(-s) * loss + s / 2

    def scores(self, output: dict[str, Tensor], batch: Batch) -> Tensor:
        """The weighed errors of the scan's scores and, where the head gives them, the slices'."""
        s = self.log_variance["scores"]
        scale = torch.exp(s / 2) / 2**0.5
        total = (output["scores"] - batch.scores).abs().mean() / scale + torch.log(scale)
        if "slice_presence" in output:
            s = self.log_variance["presence"]
            total = total + torch.exp(-s) * presence_error(output, batch) + s / 2
            s = self.log_variance["slices"]
            # slices without calcium have no amount, so no part in its likelihood either
            there = (batch.slice_scores > 0).to(s.dtype).mean()
            total = total + torch.exp(-s) * amount_error(output, batch) / 2 + there * s / 2
        elif "slice_scores" in output:
            s = self.log_variance["slices"]
            squared = (output["slice_scores"] - batch.slice_scores).square().mean()
            total = total + torch.exp(-s) * squared / 2 + s / 2
        return total

    def as_dict(self) -> dict[str, float]:
        """The learned log-variances by name."""
        return {f"log-variance {name}": float(s.detach()) for name, s in self.log_variance.items()}
