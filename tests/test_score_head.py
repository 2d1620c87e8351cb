"""Slices add up to the scan's scores: golden values, gradients, and what the form is there for."""

import math

import pytest
import torch
from torch import nn

from benchmark.contract import Batch, amount_error, presence_error, score_error
from benchmark.score_head import FORMS, SliceSum


def batch(slice_scores: torch.Tensor) -> Batch:
    scan = slice_scores.expm1().sum(dim=1).log1p()
    return Batch(*[torch.empty(0)] * 3, scan, slice_scores)


@pytest.mark.parametrize("slices", [8, 36])
@pytest.mark.parametrize("form", FORMS)
def test_scores_start_where_they_are_told_to(slices, form):
    part = SliceSum(4, slices, form, start=1.5)
    layer = nn.Linear(4, 12)
    part.initialise(layer.weight, layer.bias)
    codes = torch.zeros(2, slices, 4)
    scores = part(codes, layer(codes))["scores"]
    torch.testing.assert_close(scores, torch.full((2, 12), 1.5))


@pytest.mark.parametrize("form", ["presence", "scores"])
def test_scores_of_slices_add_up_as_scores(form):
    part = SliceSum(5, 6, form)
    codes, outputs = torch.randn(2, 6, 5), torch.randn(2, 6, 12)
    scored = part(codes, outputs)
    torch.testing.assert_close(scored["slice_scores"].expm1().sum(dim=1), scored["scores"].expm1())
    # the same slices twice: twice the score
    twice = part(torch.cat([codes, codes], dim=1), torch.cat([outputs, outputs], dim=1))["scores"]
    torch.testing.assert_close(twice.expm1(), 2 * scored["scores"].expm1())


def test_the_published_form_sums_plain_outputs():
    outputs = torch.randn(2, 6, 12)
    scored = SliceSum(5, 6, "logarithms")(torch.randn(2, 6, 5), outputs)
    assert set(scored) == {"scores"}
    torch.testing.assert_close(scored["scores"], outputs.sum(dim=1))


def test_an_unknown_form_is_refused():
    with pytest.raises(ValueError, match="presence, scores, logarithms"):
        SliceSum(5, 6, "square")


def test_a_probability_times_an_amount_by_hand():
    """One slice, calcium for certain in the LAD with 20 mm3, even odds of 6 mm3 in the RCA."""
    part = SliceSum(4, 1)
    with torch.no_grad():
        part.presence.weight.zero_()
        part.presence.bias.copy_(torch.tensor([40.0, -40.0, 0.0, 40.0]))
    amounts = torch.log1p(torch.tensor([20.0, 50.0, 6.0, 23.0])).repeat(3)
    outputs = torch.log(torch.expm1(amounts)).view(1, 1, 12)  # inverse of softplus
    scores = part(torch.zeros(1, 1, 4), outputs)["scores"].expm1().view(3, 4)
    torch.testing.assert_close(scores, torch.tensor([[20.0, 0.0, 3.0, 23.0]]).repeat(3, 1))


def test_losses_of_presence_and_amount_by_hand():
    truth = torch.zeros(1, 2, 12)
    truth[0, 0, [0, 4, 8]] = math.log1p(20.0)  # calcium of the LAD in the first slice
    made = batch(truth)
    output = {
        "scores": made.scores + 0.5,
        "slice_presence": torch.zeros(1, 2, 4),
        "slice_amounts": torch.full((1, 2, 12), 1.0),
    }
    assert presence_error(output, made).item() == pytest.approx(math.log(2))
    # three of 24 outputs have calcium; the others' amounts are free
    amount = 3 * (math.log1p(20.0) - 1) ** 2 / 24
    assert amount_error(output, made).item() == pytest.approx(amount)
    assert score_error(output, made).item() == pytest.approx(0.5 + 2 * (math.log(2) + amount))


def test_a_silent_output_learns_again():
    """What a softplus cannot: an output far below zero has its whole gradient where calcium is."""
    truth = torch.zeros(1, 3, 12)
    truth[0, 1, [1, 5, 9]] = 3.0

    def pull(form: str) -> float:
        part = SliceSum(4, 3, form)
        codes = torch.zeros(1, 3, 4)
        outputs = torch.full((1, 3, 12), -40.0 if form == "scores" else 3.0, requires_grad=True)
        if form == "presence":
            nn.init.constant_(part.presence.bias, -40.0)
        score_error(part(codes, outputs), batch(truth)).backward()
        grads = [outputs.grad, *(p.grad for p in part.parameters() if p.grad is not None)]
        return max(float(g.abs().max()) for g in grads)

    assert pull("scores") < 1e-12
    assert pull("presence") > 0.01
