"""Others' attention and task coupling, against the formulas of their papers."""

import math

import pytest
import torch

from benchmark.contract import Batch
from mmwfanet import MMWFAnet
from mmwfanet.attention import (
    ChannelAttention,
    ChannelSelfAttention,
    DualAttention,
    PerSlice,
    PositionAttention,
    ResidualAttention,
)
from mmwfanet.dependency import RelationPrior, ReverseMapping, TaskUncertainty


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def test_residual_attention_is_one_plus_mask_times_trunk():
    module, x = ResidualAttention(8).eval(), torch.randn(2, 8, 7, 9)
    mask = module.mask(x)
    assert mask.shape == x.shape
    assert 0 < mask.min() < mask.max() < 1
    torch.testing.assert_close(module(x), (1 + mask) * module.trunk(x))


def test_squeeze_and_excitation_scales_each_channel_of_a_slice_by_one_number():
    module, x = ChannelAttention(16), torch.rand(3, 16, 5, 6) + 1
    scale = module(x) / x
    torch.testing.assert_close(scale, scale[:, :, :1, :1].expand_as(scale))
    # FC, ReLU, FC, sigmoid of the slice's mean, by hand
    down, up = module.fc1.weight[:, :, 0, 0], module.fc2.weight[:, :, 0, 0]
    hidden = torch.relu(x.mean(dim=(2, 3)) @ down.T + module.fc1.bias)
    by_hand = torch.sigmoid(hidden @ up.T + module.fc2.bias)
    torch.testing.assert_close(scale[:, :, 0, 0], by_hand)


@pytest.mark.parametrize(("channels", "squeezed"), [(256, 16), (64, 4), (16, 4), (2, 2)])
def test_squeeze_is_sixteenfold_where_four_channels_are_left(channels, squeezed):
    assert ChannelAttention(channels).fc1.out_channels == squeezed


def test_position_attention_by_hand():
    module, x = PositionAttention(16), torch.randn(2, 16, 3, 4)
    torch.testing.assert_close(module(x), x)  # gamma is 0 at the start
    torch.nn.init.constant_(module.gamma, 0.7)
    query, key, value = (m(x).flatten(2) for m in (module.query, module.key, module.value))
    attention = torch.einsum("sci,scj->sij", query, key).softmax(dim=2)
    by_hand = 0.7 * torch.einsum("sij,scj->sci", attention, value).reshape(x.shape) + x
    torch.testing.assert_close(module(x), by_hand)


def test_channel_self_attention_by_hand():
    module, x = ChannelSelfAttention(), 0.3 * torch.randn(2, 4, 3, 5)
    torch.testing.assert_close(module(x), x)  # beta is 0 at the start
    torch.nn.init.constant_(module.beta, 0.7)
    flat = x.flatten(2)
    energy = torch.einsum("sci,sdi->scd", flat, flat)
    attention = (energy.max(dim=2, keepdim=True).values - energy).softmax(dim=2)
    by_hand = 0.7 * torch.einsum("scd,sdi->sci", attention, flat).reshape(x.shape) + x
    torch.testing.assert_close(module(x), by_hand)


def test_dual_attention_starts_as_its_convolutions_and_both_gates_learn():
    module, x = DualAttention(16).eval(), torch.randn(2, 16, 5, 6)
    position, channel = module.position, module.channel
    by_hand = module.last(position[2](position[0](x)) + channel[2](channel[0](x)))
    torch.testing.assert_close(module(x), by_hand)
    module(x).square().sum().backward()
    assert position[1].gamma.grad != 0
    assert channel[1].beta.grad != 0


def test_attention_sees_one_slice_at_a_time():
    module = PerSlice(DualAttention(8)).eval()
    volume = torch.randn(1, 8, 4, 5, 6)
    before = module(volume)
    volume[:, :, 2] += 1
    changed = (module(volume) - before).abs().amax(dim=(0, 1, 3, 4)) > 0
    assert changed.tolist() == [False, False, True, False]


def test_relation_is_the_normalised_root_and_the_penalty_its_trace():
    prior = RelationPrior(12, every=3, floor=0.01)
    weight = torch.randn(12, 20, requires_grad=True)
    for _ in range(2):
        prior.update(weight)
    torch.testing.assert_close(prior.omega, torch.eye(12) / 12)  # not yet
    prior.update(weight)
    left, singular, _ = torch.linalg.svd(weight.detach().double(), full_matrices=False)
    root = left @ torch.diag(singular) @ left.T  # (W W^T)^(1/2)
    expected = 0.99 * root / root.trace() + 0.01 * torch.eye(12) / 12
    torch.testing.assert_close(prior.omega.double(), expected, rtol=1e-4, atol=1e-6)
    assert prior.omega.trace().item() == pytest.approx(1, rel=1e-5)
    assert torch.linalg.eigvalsh(prior.omega).min() > 0
    penalty = prior(weight)
    by_hand = torch.trace(weight.T @ prior.omega.inverse() @ weight)
    torch.testing.assert_close(penalty, by_hand, rtol=1e-3, atol=1e-3)
    penalty.backward()
    assert weight.grad.abs().sum() > 0


def test_the_swapped_relation_follows_the_score_heads_last_layer():
    model = MMWFAnet((6, 12, 16), 3, 8, dependency="dmtrl")
    start = model.relation.omega.clone()
    for _ in range(model.relation.every):
        model.after_step()
    assert not torch.equal(model.relation.omega, start)
    twin = RelationPrior(12, every=1)
    twin.update(model.quantification.second.weight)
    torch.testing.assert_close(model.relation.omega, twin.omega)


def test_the_reverse_network_has_the_heads_matrices_transposed():
    mapping = ReverseMapping(10, 6, 12).eval()
    to_hidden, to_scores = torch.randn(6, 10), torch.randn(12, 6)
    scores = torch.rand(3, 12)
    hidden = torch.nn.functional.layer_norm(scores / 8 @ to_scores, (6,))
    by_hand = torch.relu(torch.nn.functional.leaky_relu(hidden, 0.1) @ to_hidden)
    torch.testing.assert_close(mapping(scores, to_hidden, to_scores), by_hand)


def test_the_reverse_mapping_teaches_the_head_and_leaves_the_discriminator_to_its_rival():
    grid = (6, 12, 16)
    model = MMWFAnet(grid, 3, 8, dependency="reverse-mapping", omega_qua=0.0, lambda_intra=0.0)
    slices = torch.rand(2, 6, 12)
    batch = Batch(
        torch.randn(2, 3, *grid),
        torch.zeros(2, *grid, dtype=torch.int64),
        torch.zeros(2, *grid, dtype=torch.bool),  # no segmentation loss either
        torch.log1p(torch.expm1(slices).sum(dim=1)),
        slices,
    )
    joint = model.stages()[0]
    own, rival = ({id(p) for p in ps} for ps in (joint.parameters, joint.opponent_parameters))
    assert own.isdisjoint(rival)
    assert own | rival == {id(p) for p in model.parameters()}
    terms = joint.losses(batch)
    assert "inter-task" not in terms
    (terms["reverse"] + terms["adversarial"]).backward()
    assert model.quantification.first.weight.grad.abs().sum() > 0
    assert model.quantification.second.weight.grad.abs().sum() > 0
    model.zero_grad()
    joint.opponent_losses(batch)["discriminator"].backward()
    assert all(p.grad is None for p in joint.parameters)


def test_one_scan_a_step_is_enough_for_the_reverse_mapping():
    mapping = ReverseMapping(10, 6, 12).train()
    to_hidden, to_scores = torch.randn(6, 10), torch.randn(12, 6)
    reverse, adversarial = mapping.losses(
        torch.rand(1, 10), torch.rand(1, 12), torch.rand(1, 12), to_hidden, to_scores
    )
    assert torch.isfinite(reverse + adversarial + mapping.opponent_loss())


def test_uncertainty_terms_by_hand():
    weights = TaskUncertainty(("segmentation", "scores", "slices"))
    for name, value in (("segmentation", 0.4), ("scores", -0.6), ("slices", 0.8)):
        torch.nn.init.constant_(weights.log_variance[name], value)
    loss = torch.tensor(2.0)
    assert weights.segmentation(loss).item() == pytest.approx(2 * math.exp(-0.4) + 0.2)
    batch = Batch(*[torch.empty(0)] * 3, torch.zeros(1, 12), torch.zeros(1, 2, 12))
    output = {"scores": torch.full((1, 12), 3.0), "slice_scores": torch.full((1, 2, 12), 2.0)}
    b = math.sqrt(math.exp(-0.6) / 2)  # Laplace of variance exp(s)
    laplace = 3 / b + math.log(b)
    gauss = 4 / (2 * math.exp(0.8)) + 0.4
    assert weights.scores(output, batch).item() == pytest.approx(laplace + gauss, rel=1e-5)
    # probabilities of calcium have a cross entropy of their own, amounts count where there is some
    truth = torch.zeros(1, 2, 12)
    truth[0, 0] = 1.0
    batch = Batch(*[torch.empty(0)] * 3, torch.zeros(1, 12), truth)
    weights.log_variance["presence"] = torch.nn.Parameter(torch.tensor(0.2))
    more = {"slice_presence": torch.zeros(1, 2, 4), "slice_amounts": torch.full((1, 2, 12), 3.0)}
    entropy = math.exp(-0.2) * math.log(2) + 0.1
    gauss = 0.5 * (4 / (2 * math.exp(0.8)) + 0.4)
    total = weights.scores(output | more, batch).item()
    assert total == pytest.approx(laplace + entropy + gauss, rel=1e-5)
    # a head without slices has Laplace's term alone
    del output["slice_scores"]
    assert weights.scores(output, batch).item() == pytest.approx(laplace, rel=1e-5)
