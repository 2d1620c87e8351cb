"""MMWFAnet: multi-task learning with multi-view weighted fusion attention."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.contract import Batch, Stage, candidate_cross_entropy, score_error
from mmwfanet.encoders import DilatedUNet, ResidualDilatedNetwork, from_slices, to_slices
from mmwfanet.fusion import FUSIONS
from mmwfanet.heads import ScoreHead, SegmentationHead
from mmwfanet.losses import generalised_dice, inter_task, intra_task, soft_counts


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

    Parameters
    ----------
    grid : (Z, Y, X)
        Shape of the training grid.
    in_channels : int
    width : int
        Channels of the stem, of every encoder's first level and of the shared features.
    fusion : "weighted", "sum" or "axial"
    heads : tuple of "mask", "head"
        Which heads are built and trained.
    stem_stride : 2 or 4
    dilation : int
        Of the axial encoder's last block.
    head_form, head_pooled, dropout
        See :class:`mmwfanet.heads.ScoreHead`.
    dice : "sudre" or "uniform"
        See :func:`mmwfanet.losses.generalised_dice`.
    cross_entropy : float
        Weight of a cross entropy beside the generalised Dice loss; 0 is the paper's objective.
    omega_seg, omega_qua, lambda_intra, lambda_inter : float
        Weights of eq. 6. The paper prints lambda_1 = 1e-4 only; it sets the omegas from the size of
        each task's gradient and shows figures 4 and 5 for the rest.
    inter : "differentiable" or "as-printed"
        See :func:`mmwfanet.losses.inter_task`.
    head_share : float
        Share of the budget for further steps of the score head on kept features; 0 trains all
        jointly to the end, as the paper does.

    Notes
    -----
    Deviations and choices where the paper is silent are in ``notes``, printed under each board.
    """

    outputs = ("mask", "head")
    notes = (
        "channels double from the tier's width: the paper's numbers stand only in its figure 3",
        "below the paper tier the stem reduces 2-fold, not 4-fold: the grid has pooled already",
        "generalised Dice on candidate cells, beside a cross entropy (option cross_entropy)",
        "score head in score space; the printed form is head_form='as-printed'",
        "R_inter in a differentiable form; as printed it rewards what the text penalises (inter)",
        "last quarter of the budget: score head on kept features (head_share)",
        "omega_1 = 1, omega_2 = 0.3, lambda_2 = 0.01 are ours: the text prints none of them",
    )

    def __init__(
        self,
        grid: tuple[int, int, int],
        in_channels: int,
        width: int,
        fusion: str = "weighted",
        heads: tuple[str, ...] = ("mask", "head"),
        stem_stride: int = 2,
        dilation: int = 2,
        head_form: str = "score-space",
        head_pooled: int = 5,
        dropout: float = 0.0,
        dice: str = "sudre",
        cross_entropy: float = 1.0,
        omega_seg: float = 1.0,
        omega_qua: float = 0.3,
        lambda_intra: float = 1e-4,
        lambda_inter: float = 1e-2,
        inter: str = "differentiable",
        head_share: float = 0.25,
    ) -> None:
        super().__init__()
        if fusion not in FUSIONS:
            raise ValueError(f"fusion must be one of {', '.join(FUSIONS)}, not {fusion!r}")
        self.outputs = tuple(heads)
        self.options = {
            "dice": dice,
            "cross_entropy": cross_entropy,
            "omega_seg": omega_seg,
            "omega_qua": omega_qua,
            "lambda_intra": lambda_intra,
            "lambda_inter": lambda_inter,
            "inter": inter,
            "head_share": head_share,
        }
        self.stem = Stem(in_channels, width, stem_stride)
        self.fusion = FUSIONS[fusion]()
        self.encoders = nn.ModuleDict({"axial": ResidualDilatedNetwork(width, width, dilation)})
        for view in self.fusion.views[1:]:
            self.encoders[view] = DilatedUNet(width, width)
        # (Y, X) of the shared features: stride, then pooling, each rounding as torch does
        plane = tuple(((n - 1) // (stem_stride // 2) + 1) // 2 for n in grid[1:])
        self.segmentation = SegmentationHead(width) if "mask" in heads else None
        self.quantification = None
        if "head" in heads:
            self.quantification = ScoreHead(width, plane, head_form, head_pooled, dropout)

    def shared(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Shared features (B, width, Z, y, x), and the stem's map before pooling."""
        batch = image.shape[0]
        before, after = self.stem(to_slices(image, "axial"))
        volume = from_slices(after, "axial", batch)  # (B, width, Z, y, x)
        features = {
            view: from_slices(encoder(to_slices(volume, view)), view, batch)
            for view, encoder in self.encoders.items()
        }
        return self.fusion(features), before

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """(B, C, Z, Y, X) -> ``logits`` (B, 4, Z, Y, X) and ``scores`` (B, 12)."""
        shared, before = self.shared(image)
        output = {}
        if self.segmentation is not None:
            output["logits"] = self.segmentation(shared, before, image.shape[-2:])
        if self.quantification is not None:
            output.update(self.quantification(self.quantification.gather(shared)))
        return output

    def losses(self, output: dict[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        """The terms of eq. 6."""
        o = self.options
        terms = {}
        if "logits" in output:
            logits = output["logits"]
            dice = generalised_dice(logits, batch.target, batch.candidate, o["dice"])
            terms["segmentation"] = o["omega_seg"] * dice
            if o["cross_entropy"]:
                entropy = candidate_cross_entropy(logits, batch)
                terms["segmentation"] = terms["segmentation"] + o["cross_entropy"] * entropy
        if "scores" in output:
            terms["scores"] = o["omega_qua"] * score_error(output, batch)
        heads = [m for m in (self.segmentation, self.quantification) if m is not None]
        terms["intra-task"] = o["lambda_intra"] * intra_task(heads)
        if "logits" in output and "scores" in output and o["lambda_inter"]:
            counts = soft_counts(output["logits"], batch.candidate)
            terms["inter-task"] = o["lambda_inter"] * inter_task(
                counts, output["scores"], o["inter"]
            )
        return terms

    def stages(self) -> list[Stage]:
        """Joint training, then further steps of the score head on kept features."""
        share = self.options["head_share"] if self.quantification is not None else 0.0
        if share and self.segmentation is None:
            share = 0.0  # the trunk learns from the scores alone: keep it learning
        stages = [Stage("joint", 1 - share, self._joint_losses, list(self.parameters()))]
        if share:
            stages.append(
                Stage(
                    "score head",
                    share,
                    self._head_losses,
                    list(self.quantification.parameters()),
                    batch_scale=2,
                    keep=self._keep,
                )
            )
        return stages

    def _joint_losses(self, batch: Batch) -> dict[str, Tensor]:
        return self.losses(self(batch.image), batch)

    def _keep(self, image: Tensor) -> dict[str, Tensor]:
        shared, _ = self.shared(image)
        return {"gathered": self.quantification.gather(shared)}

    def _head_losses(self, batch: Batch) -> dict[str, Tensor]:
        return {"scores": score_error(self.quantification(batch.kept["gathered"]), batch)}
