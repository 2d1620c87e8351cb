"""MMWFAnet: multi-task learning with multi-view weighted fusion attention."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.contract import (
    Batch,
    Stage,
    candidate_cross_entropy,
    generalised_dice,
    score_error,
)
from benchmark.score_head import HEAD_SAMPLES
from mmwfanet.dependency import RelationPrior, ReverseMapping, TaskUncertainty
from mmwfanet.encoders import DilatedUNet, ResidualDilatedNetwork, from_slices, to_slices
from mmwfanet.fusion import FUSIONS, GATES
from mmwfanet.heads import SCORES, ScoreHead, SegmentationHead
from mmwfanet.losses import inter_task, intra_task, named_counts
from mmwfanet.options import (
    DEFAULT_NOTES,
    TUNABLE,
    check_options,
    notes_of,
    uncertain_tasks,
    uses_inter,
)

ABOVE_130 = 2
"""The image's channel that holds the share of a cell above 130 HU."""

NOT_OPTIONS = ("self", "__class__", "grid", "in_channels", "width")
"""Names in the constructor that are no options."""


class Stem(nn.Module):
    """7 x 7 convolution and 2 x 2 max pooling, in plane only; the number of slices is kept.

    Parameters
    ----------
    in_channels, width : int
    stride : int
        In-plane reduction of the whole stem: 4 as in the paper (convolution of stride 2, then
        pooling), or 2 (convolution of stride 1): on a training grid of 4 mm cells the grid has
        already done the rest.
    """

    def __init__(self, in_channels: int, width: int, stride: int) -> None:
        super().__init__()
        if stride not in (2, 4):
            raise ValueError(f"the stem's stride is 2 or 4, not {stride}")
        self.convolve = nn.Sequential(
            nn.Conv2d(in_channels, width, 7, stride // 2, 3, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B * Z, in, Y, X) -> the map before pooling and the map after it."""
        before = self.convolve(x)
        return before, F.max_pool2d(before, 2)


class MMWFAnet(nn.Module):
    """MMWFAnet of Zhang et al., "Multi-task learning with Multi-view Weighted Fusion Attention for
    artery-specific calcification analysis", Information Fusion.

    A stem in the axial plane; its output cut into axial, coronal and sagittal slices; one 2D
    encoder a view; the coronal and sagittal features gate the axial ones (eqs. 1 to 3); a
    segmentation head and a score head on the shared features, tied by R_inter (eqs. 4 to 6).

    Every network of the paper's Tables 2 and 3 that shares these parts is a configuration of it
    (docs/ablations.md).

    Parameters
    ----------
    grid : (Z, Y, X)
        Shape of the training grid.
    in_channels : int
    width : int
        Channels of the stem, of every encoder's first level and of the shared features.
    fusion : "weighted", "sum", "axial", "res-att", "senet" or "danet"
        See :mod:`mmwfanet.fusion`; the last four build the axial encoder alone.
    gates : list of "coronal", "sagittal"
        Gates in use, with ``fusion="weighted"``. The encoder of a gate that is not in use is built,
        so that the weights of a network with both gates load; it is neither run nor trained.
    closed_gates : "zero" or "mean"
        What stands for a gate that is not in use; see :class:`mmwfanet.fusion.WeightedFusion`.
    heads : list of "mask", "head"
        Which heads are built and trained.
    stem_stride : 2 or 4
    dilation : int
        Of the axial encoder's last block.
    head_sum, head_pooled, head_norm, dropout
        See :class:`mmwfanet.heads.ScoreHead`.
    dice : "sudre" or "uniform"
        See :func:`benchmark.contract.generalised_dice`.
    cross_entropy : float
        Weight of a cross entropy beside the generalised Dice loss; 0 is the paper's objective.
    omega_seg, omega_qua, lambda_intra, lambda_inter : float
        Weights of eq. 6. The paper prints lambda_1 = 1e-4 only; it sets the omegas from the size of
        each task's gradient and shows figures 4 and 5 for the rest.
    inter : "differentiable" or "as-printed"
        See :func:`mmwfanet.losses.inter_task`.
    task_weights : "fixed" or "uncertainty"
        ``fixed``: the omegas. ``uncertainty``: learned log-variances in their place
        (:class:`mmwfanet.dependency.TaskUncertainty`); R_inter, which has no likelihood, is then
        dropped.
    dependency : "inter", "none", "dmtrl" or "reverse-mapping"
        What ties the tasks. ``inter``: R_inter, where both heads are built. ``dmtrl``: the
        relationship penalty on the score head's last layer
        (:class:`mmwfanet.dependency.RelationPrior`). ``reverse-mapping``: reversed features and a
        discriminator on the score head (:class:`mmwfanet.dependency.ReverseMapping`). The last two
        come in the place of R_inter and need the score head.
    lambda_relation : float
        Weight of DMTRL's penalty.
    lambda_reverse, lambda_adversarial : float
        Weights of the reverse mapping's two terms.
    head_share : float
        Share of the budget for further steps of the score head on kept features; 0 trains all
        jointly to the end, as the paper does. A network without a segmentation head trains jointly
        to the end in any case.

    Raises
    ------
    ValueError
        If an option has no such value; the message names the valid ones.

    Notes
    -----
    Deviations and choices where the paper is silent are in ``notes``, printed under each board; an
    instance's hold what its options make true.
    """

    outputs = ("mask", "head")
    tunable = TUNABLE
    notes = tuple(DEFAULT_NOTES.values())

    def __init__(
        self,
        grid: tuple[int, int, int],
        in_channels: int,
        width: int,
        fusion: str = "weighted",
        gates: Sequence[str] = GATES,
        closed_gates: str = "zero",
        heads: Sequence[str] = ("mask", "head"),
        stem_stride: int = 2,
        dilation: int = 2,
        head_sum: str = "presence",
        head_pooled: int = 5,
        head_norm: bool = True,
        dropout: float = 0.0,
        dice: str = "sudre",
        cross_entropy: float = 1.0,
        omega_seg: float = 1.0,
        omega_qua: float = 0.3,
        lambda_intra: float = 1e-4,
        lambda_inter: float = 0.2,
        inter: str = "differentiable",
        task_weights: str = "fixed",
        dependency: str = "inter",
        lambda_relation: float = 1e-3,
        lambda_reverse: float = 0.1,
        lambda_adversarial: float = 0.5,
        head_share: float = 0.25,
    ) -> None:
        super().__init__()
        # taken before anything else is bound: the options by name
        options = {k: v for k, v in locals().items() if k not in NOT_OPTIONS}
        check_options(options)
        self.outputs = tuple(heads)
        self.options = options
        self.notes = notes_of(options)
        self.stem = Stem(in_channels, width, stem_stride)
        self.fusion = FUSIONS[fusion](width, gates, closed_gates)
        self.encoders = nn.ModuleDict({"axial": ResidualDilatedNetwork(width, width, dilation)})
        for view in self.fusion.views[1:]:
            self.encoders[view] = DilatedUNet(width, width)
            self.encoders[view].requires_grad_(view in self.fusion.used)
        # (Y, X) of the shared features: stride, then pooling, each rounding as torch does
        plane = tuple(((n - 1) // (stem_stride // 2) + 1) // 2 for n in grid[1:])
        self.segmentation = SegmentationHead(width) if "mask" in heads else None
        self.quantification = None
        if "head" in heads:
            self.quantification = ScoreHead(
                width, plane, grid[0], head_sum, head_pooled, head_norm, dropout
            )
        self.uncertainty = self.relation = self.mapping = None
        if task_weights == "uncertainty":
            self.uncertainty = TaskUncertainty(uncertain_tasks(options))
        if dependency == "dmtrl":
            self.relation = RelationPrior(SCORES)
        if dependency == "reverse-mapping":
            first = self.quantification.first
            self.mapping = ReverseMapping(first.in_features, first.out_features, SCORES)
        # the weights in the layout of the slices, or each step converts gradients to and fro
        self.to(memory_format=torch.channels_last)

    @property
    def diagnostics(self) -> dict[str, float]:
        """What the options learnt beside the network, for the ledger."""
        return self.uncertainty.as_dict() if self.uncertainty is not None else {}

    def shared(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Shared features (B, width, Z, y, x), and the stem's map before pooling."""
        batch = image.shape[0]
        before, after = self.stem(to_slices(image, "axial"))
        volume = from_slices(after, "axial", batch)  # (B, width, Z, y, x)
        features = {
            view: from_slices(self.encoders[view](to_slices(volume, view)), view, batch)
            for view in self.fusion.used
        }
        return self.fusion(features), before

    def _outputs(self, image: Tensor) -> tuple[dict[str, Tensor], Tensor | None]:
        """What :meth:`forward` gives, and what the score head saw of each slice."""
        shared, before = self.shared(image)
        output, gathered = {}, None
        if self.segmentation is not None:
            output["logits"] = self.segmentation(shared, before, image.shape[-2:])
        if self.quantification is not None:
            gathered = self.quantification.gather(shared)
            output.update(self.quantification(gathered))
        return output, gathered

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """(B, C, Z, Y, X) -> ``logits`` (B, 4, Z, Y, X) and ``scores`` (B, 12)."""
        return self._outputs(image)[0]

    def losses(self, output: dict[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        """The terms of eq. 6, or what the options put in their place.

        The reverse mapping's two terms need the shared features; the stages add them.
        """
        o = self.options
        terms = {}
        if "logits" in output:
            terms["segmentation"] = self._segmentation_loss(output["logits"], batch)
        if "scores" in output:
            # alone, the scores need no weight against another task
            omega = o["omega_qua"] if "logits" in output else 1.0
            terms |= self._score_losses(output, batch, omega)
        heads = [m for m in (self.segmentation, self.quantification) if m is not None]
        terms["intra-task"] = o["lambda_intra"] * intra_task(heads)
        if "logits" in output and "scores" in output and uses_inter(o):
            counts = named_counts(output["logits"], batch.candidate)
            terms["inter-task"] = self._inter_task(counts, output["scores"])
        return terms

    def _inter_task(self, counts: Tensor, scores: Tensor) -> Tensor:
        return self.options["lambda_inter"] * inter_task(counts, scores, self.options["inter"])

    def _segmentation_loss(self, logits: Tensor, batch: Batch) -> Tensor:
        o = self.options
        loss = generalised_dice(logits, batch.target, batch.candidate, o["dice"])
        if self.uncertainty is None:
            loss = o["omega_seg"] * loss
        if o["cross_entropy"]:
            loss = loss + o["cross_entropy"] * candidate_cross_entropy(logits, batch)
        return loss if self.uncertainty is None else self.uncertainty.segmentation(loss)

    def _score_losses(
        self, output: dict[str, Tensor], batch: Batch, omega: float
    ) -> dict[str, Tensor]:
        if self.uncertainty is None:
            terms = {"scores": omega * score_error(output, batch)}
        else:
            terms = {"scores": self.uncertainty.scores(output, batch)}
        if self.relation is not None:
            penalty = self.relation(self.quantification.second.weight)
            terms["relation"] = self.options["lambda_relation"] * penalty
        return terms

    def after_step(self) -> None:
        """DMTRL's closed-form update."""
        if self.relation is not None:
            self.relation.update(self.quantification.second.weight)

    def stages(self) -> list[Stage]:
        """Joint training, then further steps of the score head on kept features."""
        share = self.options["head_share"] if self.quantification is not None else 0.0
        if share and self.segmentation is None:
            share = 0.0  # the trunk learns from the scores alone: keep it learning
        adversary, rival = {}, []
        if self.mapping is not None:
            rival = self.mapping.opponent_parameters()
            adversary = {"opponent_parameters": rival, "opponent_losses": self._opponent_losses}
        own = _without([p for p in self.parameters() if p.requires_grad], rival)
        stages = [Stage("joint", 1 - share, self._joint_losses, own, **adversary)]
        if share:
            learning = list(self.quantification.parameters())
            if self.uncertainty is not None:
                learning += self.uncertainty.score_parameters()
            if self.mapping is not None:
                learning += _without(self.mapping.parameters(), rival)
            stages.append(
                Stage(
                    "score head",
                    share,
                    self._head_losses,
                    learning,
                    batch_scale=2,
                    keep=self._keep,
                    apart=HEAD_SAMPLES,
                    **adversary,
                )
            )
        return stages

    def _joint_losses(self, batch: Batch) -> dict[str, Tensor]:
        output, gathered = self._outputs(batch.image)
        return self.losses(output, batch) | self._mapping_losses(output, gathered, batch)

    def _keep(self, image: Tensor) -> dict[str, Tensor]:
        shared, before = self.shared(image)
        kept = {"gathered": self.quantification.gather(shared)}
        if uses_inter(self.options):
            # the frozen network's labels, for R_inter: candidates hold a voxel above 130 HU
            logits = self.segmentation(shared, before, image.shape[-2:])
            kept["counts"] = named_counts(logits, image[:, ABOVE_130] > 0)
        return kept

    def _head_losses(self, batch: Batch) -> dict[str, Tensor]:
        gathered = batch.kept["gathered"]
        output = self.quantification(gathered)
        terms = self._score_losses(output, batch, 1.0)
        if "counts" in batch.kept:
            terms["inter-task"] = self._inter_task(batch.kept["counts"], output["scores"])
        return terms | self._mapping_losses(output, gathered, batch)

    def _mapping_losses(
        self, output: dict[str, Tensor], gathered: Tensor, batch: Batch
    ) -> dict[str, Tensor]:
        """The reverse mapping's two terms, where it is in use."""
        if self.mapping is None:
            return {}
        head = self.quantification
        # a scan's features are the maximum of its slices'
        reverse, adversarial = self.mapping.losses(
            gathered.amax(dim=1),
            output["scores"],
            batch.scores,
            head.first.weight,
            head.second.weight,
        )
        return {
            "reverse": self.options["lambda_reverse"] * reverse,
            "adversarial": self.options["lambda_adversarial"] * adversarial,
        }

    def _opponent_losses(self, batch: Batch) -> dict[str, Tensor]:
        if not self.mapping.ready:
            with torch.no_grad():
                self._joint_losses(batch)
        return {"discriminator": self.mapping.opponent_loss()}


def _without(
    parameters: Iterable[nn.Parameter], others: Iterable[nn.Parameter]
) -> list[nn.Parameter]:
    """Those of the parameters that are not among the others."""
    apart = {id(p) for p in others}
    return [p for p in parameters if id(p) not in apart]
