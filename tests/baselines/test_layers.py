"""Layers done as products of matrices are PyTorch's, to rounding, with its weights."""

import pytest
import torch
from torch import nn

from baselines.layers import PointwiseConv3d, WideTransposedConv2d, WideTransposedConv3d
from mmwfanet.blocks import concatenate


def agree(own, other, tensor, cut, *arguments):
    """Same first weights under the same names; same outputs and gradients."""
    for (name, mine), (theirs_name, theirs) in zip(
        own.state_dict().items(), other.state_dict().items(), strict=True
    ):
        assert name == theirs_name
        assert torch.equal(mine, theirs)
    inputs = [tensor.clone().requires_grad_() for _ in range(2)]
    outputs = [own(inputs[0], *arguments), cut(other(inputs[1]))]
    torch.testing.assert_close(*outputs, rtol=1e-5, atol=1e-5)
    gradient = torch.randn(outputs[0].shape)
    found = [
        torch.autograd.grad(output, [given, *layer.parameters()], gradient)
        for output, given, layer in zip(outputs, inputs, (own, other), strict=True)
    ]
    for mine, theirs in zip(*found, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)


def built(kind, *arguments, **options):
    torch.manual_seed(3)
    return kind(*arguments, **options)


@pytest.mark.parametrize("bias", [True, False])
def test_a_pointwise_convolution_is_pytorchs(bias):
    own, other = built(PointwiseConv3d, 5, 7, bias=bias), built(nn.Conv3d, 5, 7, 1, bias=bias)
    volume = torch.randn(2, 5, 3, 4, 6)
    agree(own, other, volume, lambda y: y)
    agree(own, other, volume.contiguous(memory_format=torch.channels_last_3d), lambda y: y)


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "extra", "size"),
    [
        (15, 8, 4, 0, (18, 18)),  # SSLLN's, cut
        (31, 16, 8, 0, (40, 20)),
        (3, 2, 1, 1, (99, 99)),  # nothing to cut
        (7, 4, 2, 0, (9, 3)),
        ((2, 5), (2, 1), (0, 2), 0, (6, 7)),
        (9, 4, 5, 2, (11, 10)),  # three taps, and padding of more than a stride
    ],
)
def test_a_wide_transposed_convolution_is_pytorchs_and_cut(kernel, stride, padding, extra, size):
    options = {"stride": stride, "padding": padding, "output_padding": extra}
    own = built(WideTransposedConv2d, 4, 6, kernel, **options)
    other = built(nn.ConvTranspose2d, 4, 6, kernel, **options)
    agree(own, other, torch.randn(3, 4, 3, 5), lambda y: y[..., : size[0], : size[1]], size)


def test_a_wide_transposed_convolution_in_three_dimensions_is_pytorchs():
    arguments = (4, 4, (1, 8, 4), (1, 4, 2), (0, 2, 1))  # an axis that is not enlarged
    own = built(WideTransposedConv3d, *arguments, bias=False)
    other = built(nn.ConvTranspose3d, *arguments, bias=False)
    size = (3, 13, 10)
    agree(own, other, torch.randn(2, 4, 3, 4, 5), lambda y: y[..., : size[1], : size[2]], size)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_concatenation_has_the_gradients_of_pytorchs_in_one_piece(layout):
    parts = [torch.randn(2, c, 5, 6).contiguous(memory_format=layout) for c in (3, 4, 1)]
    own, other = ([p.clone().requires_grad_() for p in parts] for _ in range(2))
    gradient = torch.randn(2, 8, 5, 6).contiguous(memory_format=layout)
    kept = []
    own[1].register_hook(lambda g: kept.append(g.is_contiguous(memory_format=layout)))
    mine = concatenate(own)
    assert torch.equal(mine, torch.cat(other, dim=1))
    mine.backward(gradient)
    torch.cat(other, dim=1).backward(gradient)
    assert all(torch.equal(a.grad, b.grad) for a, b in zip(own, other, strict=True))
    assert kept == [True]
