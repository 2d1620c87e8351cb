"""What each method must keep to bear its name: frozen encoders, landmarks, Omega, the adversary."""

from __future__ import annotations

import pytest
import torch

from baselines.acnn_seg import ACNNSeg
from baselines.arm_mtl import ARMMTL
from baselines.dmtrl import DMTRL, UPDATE_EVERY
from baselines.fcn3d import LearnedUpsampling
from baselines.indices_net import IndicesNet
from baselines.unet3d import UNet3D
from benchmark.contract import Batch

GRID = (8, 12, 12)


@pytest.fixture
def batch() -> Batch:
    torch.manual_seed(3)
    candidate = torch.rand(2, *GRID) < 0.1
    target = torch.randint(0, 4, (2, *GRID)) * candidate
    scores, parts = torch.rand(2, 12) * 5, torch.rand(2, GRID[0], 12)
    return Batch(torch.randn(2, 3, *GRID), target, candidate, scores, parts)


def stage_steps(model, index, batch, steps=3):
    stage = model.stages()[index]
    optimiser = torch.optim.Adam(list(stage.parameters), 1e-2)
    for _ in range(steps):
        optimiser.zero_grad()
        terms = stage.losses(batch)
        sum(terms.values()).backward()
        optimiser.step()
    return terms


def state(module):
    return {k: v.clone() for k, v in module.state_dict().items()}


def same(one, other):
    return all(torch.equal(one[k], other[k]) for k in one)


@pytest.mark.parametrize("labels", ["heat", "cells"])
def test_acnn_encoder_is_frozen_in_the_second_stage(labels, batch):
    torch.manual_seed(0)
    model = ACNNSeg(GRID, 3, 8, labels=labels).train()
    segmenter = state(model.body)
    stage_steps(model, 0, batch)
    assert same(segmenter, state(model.body))
    encoder = state(model.autoencoder)
    terms = stage_steps(model, 1, batch)
    model.train()  # as a loop may do between steps
    stage_steps(model, 1, batch)
    assert same(encoder, state(model.autoencoder))
    assert not same(segmenter, state(model.body))
    assert float(terms["code"].detach()) > 0


@pytest.mark.parametrize("labels", ["heat", "cells"])
def test_acnn_code_distance_is_zero_for_the_reference_itself(labels, batch, monkeypatch):
    torch.manual_seed(0)
    model = ACNNSeg(GRID, 3, 8, labels=labels).train()
    perfect = 100 * torch.nn.functional.one_hot(batch.target, 4).movedim(-1, 1).float()
    monkeypatch.setattr(model, "forward", lambda image: {"logits": perfect})
    assert float(model.stages()[1].losses(batch)["code"].detach()) == pytest.approx(0, abs=1e-6)


def test_acnn_reports_the_dice_of_its_autoencoder_of_cells(batch):
    torch.manual_seed(0)
    model = ACNNSeg(GRID, 3, 8, labels="cells").train()
    assert model.diagnostics["autoencoder_dice"] != model.diagnostics["autoencoder_dice"]  # NaN
    stage_steps(model, 0, batch, steps=1)
    first = model.diagnostics["autoencoder_dice"]
    stage_steps(model, 0, batch, steps=60)
    assert 0 <= first < model.diagnostics["autoencoder_dice"] <= 1


def test_omega_is_the_closed_form_of_the_weights():
    torch.manual_seed(0)
    model = DMTRL(GRID, 3, 8)
    torch.nn.init.normal_(model.last.weight)
    before = model.relation.clone()
    for _ in range(UPDATE_EVERY - 1):
        model.after_step()
    assert torch.equal(model.relation, before)
    model.after_step()
    weight = model.last.weight.detach().double()
    # the square root by Denman and Beavers' iteration, another way than eigenvectors
    root, inverse = weight @ weight.T, torch.eye(12, dtype=torch.float64)
    for _ in range(60):
        root, inverse = (root + inverse.inverse()) / 2, (inverse + root.inverse()) / 2
    expected = 0.99 * root / root.trace() + 0.01 * torch.eye(12) / 12
    torch.testing.assert_close(model.relation.double(), expected, rtol=1e-4, atol=1e-6)
    assert float(model.relation.trace()) == pytest.approx(1, rel=1e-5)


def test_relation_penalty_is_the_trace_with_the_inverse():
    torch.manual_seed(0)
    model = DMTRL(GRID, 3, 8)
    torch.nn.init.normal_(model.last.weight)
    for _ in range(UPDATE_EVERY):
        model.after_step()
    weight = model.last.weight.detach()
    expected = torch.trace(weight.T @ model.relation.inverse() @ weight)
    assert float(model.relation_penalty().detach()) == pytest.approx(float(expected), rel=1e-3)


def test_indices_net_feeds_the_decoder_to_both_tasks(batch):
    torch.manual_seed(0)
    model = IndicesNet(GRID, 3, 8).train()
    for term in ("scores", "reconstruction"):
        model.zero_grad()
        model.losses(model(batch.image), batch)[term].backward()
        for part in (model.encoder, model.decoder):
            assert all(
                p.grad is not None and p.grad.abs().sum() > 0
                for p in part.parameters()
                if p.dim() > 1
            )


def test_indices_net_can_be_trained_in_its_published_space(batch):
    torch.manual_seed(0)
    model = IndicesNet(GRID, 3, 8, head_sum="logarithms").train()
    terms = stage_steps(model, 0, batch)
    assert all(bool(torch.isfinite(v)) for v in terms.values())


def test_arm_adversary_and_network_move_apart(batch):
    torch.manual_seed(0)
    model = ARMMTL(GRID, 3, 8).train()
    stage = model.stages()[0]
    own, rival = set(map(id, stage.parameters)), set(map(id, stage.opponent_parameters))
    assert not own & rival
    assert own | rival == set(map(id, model.parameters()))
    sum(stage.opponent_losses(batch).values()).backward()
    assert all(p.grad is None for p in stage.parameters)
    assert all(p.grad is not None for p in stage.opponent_parameters)


def test_arm_shares_its_matrices_both_ways(batch):
    torch.manual_seed(0)
    model = ARMMTL(GRID, 3, 8).eval()
    with torch.no_grad():
        forward, reverse = model(batch.image)["scores"], model.reverse(batch.scores)
        model.to_scores.mul_(2)
        assert not torch.equal(model(batch.image)["scores"], forward)
        assert not torch.allclose(model.reverse(batch.scores), reverse)


def test_fcn_upsampling_starts_as_linear_interpolation():
    layer = LearnedUpsampling((2, 4, 4))
    scores = torch.randn(1, 4, 4, 5, 6)
    mine = layer(scores, torch.Size((8, 20, 24)))
    other = torch.nn.functional.interpolate(scores, scale_factor=(2.0, 4.0, 4.0), mode="trilinear")
    inner = (..., slice(1, -1), slice(2, -2), slice(2, -2))
    torch.testing.assert_close(mine[inner], other[inner])


def test_unet_doubles_its_channels_before_it_pools():
    model = UNet3D((16, 32, 32), 3, 16)
    channels = [[layer[0].out_channels for layer in level] for level in model.body.down]
    assert channels == [[8, 16], [16, 32], [32, 64], [64, 128]]
