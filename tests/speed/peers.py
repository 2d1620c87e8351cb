"""A training step of ours beside a peer's, on the same patch and batch."""

from __future__ import annotations

import importlib.util

import torch
from ratio import Line, least
from torch import nn
from training_steps import batch, main_stage, network, step_of, tier

from benchmark.contract import Stage, candidate_cross_entropy


def measure(rounds: int = 6) -> list[Line]:
    """nnU-Net's planned 3D network (and MONAI's, where it is installed) with our loop's step."""
    torch.set_num_threads(1)
    settings = tier()
    data = batch(settings)
    ours, ours_flops = main_stage(network("unet3d", settings), data)
    peers = {"nnU-Net's PlainConvUNet": _nnunet(settings.width)}
    if importlib.util.find_spec("monai") is not None:
        peers["MONAI's UNet"] = _monai(settings.width)
    lines = []
    for name, model in peers.items():
        stage = Stage(name, 1.0, _loss_of(model), list(model.parameters()))
        flops = main_flops(stage, data)
        seconds = least(
            {
                "ours": step_of(ours, settings, data),
                "theirs": step_of(stage, settings, data),
            },
            rounds,
        )
        rate = ours_flops / seconds["ours"], flops / seconds["theirs"]
        lines.append(
            Line(
                "3D U-Net beside a peer's network, same patch and batch, one thread",
                f"GFLOP/s beside {name}",
                f"{rate[0] / 1e9:.0f} GFLOP/s ({1000 * seconds['ours']:.0f} ms)",
                f"{rate[1] / 1e9:.0f} GFLOP/s ({1000 * seconds['theirs']:.0f} ms)",
                rate[0] / rate[1],
                "x",
            )
        )
    return lines


def main_flops(stage: Stage, data) -> float:
    """Operations of a step."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        sum(stage.losses(data).values()).backward()
    return float(counter.get_total_flops())


def _loss_of(model: nn.Module):
    return lambda data: {"segmentation": candidate_cross_entropy(model(data.image), data)}


def _nnunet(width: int) -> nn.Module:
    """The network that nnU-Net's planner builds from, three levels, as it comes: default layout."""
    from dynamic_network_architectures.architectures.unet import PlainConvUNet

    torch.manual_seed(0)
    return PlainConvUNet(
        input_channels=3,
        n_stages=3,
        features_per_stage=[width, 2 * width, 4 * width],
        conv_op=nn.Conv3d,
        kernel_sizes=3,
        strides=[1, (1, 2, 2), (2, 2, 2)],
        n_conv_per_stage=2,
        num_classes=4,
        n_conv_per_stage_decoder=2,
        conv_bias=True,
        norm_op=nn.InstanceNorm3d,
        norm_op_kwargs={"eps": 1e-5, "affine": True},
        nonlin=nn.LeakyReLU,
        nonlin_kwargs={"inplace": True},
    )


def _monai(width: int) -> nn.Module:
    from monai.networks.nets import UNet

    torch.manual_seed(0)
    return UNet(
        spatial_dims=3,
        in_channels=3,
        out_channels=4,
        channels=(width, 2 * width, 4 * width),
        strides=((1, 2, 2), (1, 2, 2)),
        num_res_units=2,
    )
