"""Layers that see the whole batch though each device has a part of it.

Only layers that look across scans, or draw numbers for them, differ from what they were: batch norm
takes its mean and variance over all devices, dropout draws for all scans and keeps its own rows.
``torch.nn.SyncBatchNorm`` is for GPUs alone; this one works wherever ``torch.distributed`` does.
"""

from __future__ import annotations

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.contract import device_count

_OWN = {"rank": 0}
"""This device's place among the `contract.device_count` that share a batch."""


def switch(rank: int) -> None:
    """Say which of the devices that share the batch this is."""
    _OWN["rank"] = rank


class SumOverDevices(torch.autograd.Function):
    """Sum over all devices; so is its gradient, for every device's loss depends on it."""

    @staticmethod
    def forward(ctx, value: Tensor) -> Tensor:
        total = value.detach().clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        return SumOverDevices.forward(ctx, gradient)


class _Normalise(torch.autograd.Function):
    """Batch norm of (N, C, ...) by the mean and variance of all devices' values."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float):
        rows = x.float()
        axes = [0, *range(2, x.dim())]
        count = device_count() * x.numel() // x.shape[1]
        mean = SumOverDevices.forward(None, rows.sum(axes)) / count
        apart = rows - _column(mean, x)
        # in two passes: a mean of squares less a square of the mean would lose digits
        variance = SumOverDevices.forward(None, apart.square().sum(axes)) / count
        scale = (variance + eps).rsqrt()
        normal = apart * _column(scale, x)
        ctx.save_for_backward(normal, scale, weight)
        ctx.count, ctx.has_bias = count, bias is not None
        y = normal if weight is None else normal * _column(weight, x)
        y = y if bias is None else y + _column(bias, x)
        ctx.mark_non_differentiable(mean, variance)
        return y.to(x.dtype), mean, variance

    @staticmethod
    def backward(ctx, gradient: Tensor, *_):
        normal, scale, weight = ctx.saved_tensors
        rows = gradient.float()
        axes = [0, *range(2, rows.dim())]
        along, plain = (rows * normal).sum(axes), rows.sum(axes)
        means = SumOverDevices.forward(None, torch.stack([along, plain])) / ctx.count
        inner = rows - normal * _column(means[0], rows) - _column(means[1], rows)
        factor = scale if weight is None else scale * weight
        return (
            (inner * _column(factor, rows)).to(gradient.dtype),
            None if weight is None else along.to(weight.dtype),
            plain if ctx.has_bias else None,
            None,
        )


def _column(values: Tensor, x: Tensor) -> Tensor:
    """(C,) as (1, C, 1, ...), to be broadcast over ``x``."""
    return values.view(1, -1, *[1] * (x.dim() - 2))


class _Shared:
    """What the batch norms below have in common: they are as they were unless a batch is shared."""

    def forward(self, x: Tensor) -> Tensor:
        own = self.running_mean is None
        if device_count() == 1 or not (self.training or own):
            return super().forward(x)
        self._check_input_dim(x)
        y, mean, variance = _Normalise.apply(x, self.weight, self.bias, self.eps)
        if self.training and not own:
            with torch.no_grad():
                self.num_batches_tracked.add_(1)
                pace = self.momentum
                if pace is None:
                    pace = 1.0 / float(self.num_batches_tracked)
                count = device_count() * x.numel() // x.shape[1]
                self.running_mean.lerp_(mean.to(self.running_mean.dtype), pace)
                unbiased = variance * count / max(1, count - 1)
                self.running_var.lerp_(unbiased.to(self.running_var.dtype), pace)
        return y


class SharedBatchNorm1d(_Shared, nn.BatchNorm1d):
    """:class:`torch.nn.BatchNorm1d` over all devices."""


class SharedBatchNorm2d(_Shared, nn.BatchNorm2d):
    """:class:`torch.nn.BatchNorm2d` over all devices."""


class SharedBatchNorm3d(_Shared, nn.BatchNorm3d):
    """:class:`torch.nn.BatchNorm3d` over all devices."""


class SharedDropout(nn.Dropout):
    """:class:`torch.nn.Dropout` that draws for the whole batch and takes its own rows."""

    def forward(self, x: Tensor) -> Tensor:
        if device_count() == 1 or not self.training or not 0 < self.p < 1:
            return super().forward(x)
        first = _OWN["rank"] * len(x)
        ones = x.new_ones(device_count() * len(x), *x.shape[1:])
        return x * F.dropout(ones, self.p)[first : first + len(x)]


_SHARED = {
    nn.BatchNorm1d: SharedBatchNorm1d,
    nn.BatchNorm2d: SharedBatchNorm2d,
    nn.BatchNorm3d: SharedBatchNorm3d,
    nn.Dropout: SharedDropout,
}


def convert(model: nn.Module) -> None:
    """Let a network's batch norms and dropouts see the whole batch; names and weights stay."""
    for module in model.modules():
        if type(module) in _SHARED:
            module.__class__ = _SHARED[type(module)]
