"""Every network of the paper's Tables 2 and 3 is a configuration, and does what its name says."""

import itertools

import pytest
import torch

from benchmark.contract import Batch
from mmwfanet import MMWFAnet
from mmwfanet.fusion import WeightedFusion

GRID = (6, 12, 16)

CONFIGURATIONS = {
    "MMWFAnet": {},
    "AVL": {"fusion": "axial"},
    "MVL": {"fusion": "sum"},
    "S-model": {"heads": ["mask"]},
    "Q-model": {"heads": ["head"]},
    "Res-Att": {"fusion": "res-att"},
    "SENet": {"fusion": "senet"},
    "DANet": {"fusion": "danet"},
    "DMTRL": {"dependency": "dmtrl"},
    "DMTRL, scores alone": {"dependency": "dmtrl", "heads": ["head"]},
    "HU-MTL": {"task_weights": "uncertainty", "dependency": "none"},
    "ARM-MTL": {"dependency": "reverse-mapping"},
    "axial and coronal": {"gates": ["coronal"]},
    "axial and sagittal": {"gates": ["sagittal"]},
    "no gate": {"gates": []},
    "printed head": {"head_sum": "logarithms", "head_pooled": 0, "head_norm": False},
    "printed objective": {"inter": "as-printed", "cross_entropy": 0, "head_share": 0},
    "uniform Dice": {"dice": "uniform"},
    "logarithms and uncertainty": {"head_sum": "logarithms", "task_weights": "uncertainty"},
}


def build(**options):
    torch.manual_seed(0)
    return MMWFAnet(GRID, 3, 8, **options)


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(1)

    def uniform(*shape):
        return torch.rand(shape, generator=generator)

    slices = 3 * uniform(2, GRID[0], 12)
    return Batch(
        image=uniform(2, 3, *GRID) - 0.5,
        target=(4 * uniform(2, *GRID)).long(),
        candidate=uniform(2, *GRID) > 0.5,
        scores=torch.log1p(torch.expm1(slices).sum(dim=1)),
        slice_scores=slices,
    )


def gradient(parameters):
    return sum(float(p.grad.abs().sum()) for p in parameters if p.grad is not None)


@pytest.mark.parametrize("options", CONFIGURATIONS.values(), ids=CONFIGURATIONS)
def test_every_configuration_trains_and_gives_what_it_promises(options, batch):
    model = build(**options).train()
    stages = model.stages()
    assert sum(stage.share for stage in stages) == pytest.approx(1)
    for stage in stages:
        if stage.keep is not None:
            with torch.no_grad():
                batch.kept.update(stage.keep(batch.image))
        if stage.opponent_losses is not None:
            rival = torch.optim.Adam(stage.opponent_parameters, 1e-3)
            sum(stage.opponent_losses(batch).values()).backward()
            assert gradient(stage.opponent_parameters) > 0
            rival.step()
        optimiser = torch.optim.Adam(stage.parameters, 1e-3)
        optimiser.zero_grad()
        sum(stage.losses(batch).values()).backward()
        # nothing is handed to the optimiser that the losses do not reach
        assert all(p.grad is not None for p in stage.parameters)
        optimiser.step()
        model.after_step()
        loss = sum(stage.losses(batch).values())
        assert torch.isfinite(loss)
    output = model.eval()(batch.image)
    assert ("logits" in output) == ("mask" in model.outputs)
    assert ("scores" in output) == ("head" in model.outputs)


def test_no_two_configurations_have_the_same_objective(batch):
    """Options that change nothing would make a board of copies."""
    seen = {}
    for name, options in CONFIGURATIONS.items():
        model = build(**options).train()
        torch.manual_seed(0)
        terms = model.stages()[0].losses(batch)
        seen[name] = {k: round(float(v.detach()), 6) for k, v in terms.items()}
    for a, b in itertools.combinations(seen, 2):
        assert seen[a] != seen[b], f"{a} and {b}"


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("fusion", "mean"),
        ("gates", ["axial"]),
        ("gates", "coronal"),
        ("gates", ["coronal", "coronal"]),
        ("heads", ["masks"]),
        ("heads", []),
        ("heads", "mask"),
        ("stem_stride", 3),
        ("dilation", 0),
        ("head_sum", "log"),
        ("head_pooled", -1),
        ("head_pooled", 2.5),
        ("head_norm", "no"),
        ("dropout", 1.0),
        ("dice", "sudré"),
        ("inter", "printed"),
        ("task_weights", "learned"),
        ("dependency", "arm"),
        ("omega_qua", -1.0),
        ("lambda_inter", "0.1"),
        ("head_share", 1),
    ],
)
def test_an_invalid_value_is_refused_in_one_line_that_names_the_option(option, value):
    with pytest.raises(ValueError, match=option) as error:
        build(**{option: value})
    assert "\n" not in str(error.value)


def test_options_that_exclude_each_other_are_refused():
    with pytest.raises(ValueError, match="gates belong to fusion 'weighted'"):
        build(fusion="axial", gates=["coronal"])
    for dependency in ("dmtrl", "reverse-mapping"):
        with pytest.raises(ValueError, match="heads must hold 'head'"):
            build(dependency=dependency, heads=["mask"])


@pytest.mark.parametrize("fusion", ["axial", "res-att", "senet", "danet"])
def test_single_view_networks_have_no_auxiliary_encoder(fusion):
    names = [name for name, _ in build(fusion=fusion).named_parameters()]
    assert not any("coronal" in name or "sagittal" in name for name in names)


def test_sum_and_gate_differ_on_the_same_weights():
    torch.manual_seed(0)
    image = torch.randn(1, 3, *GRID)
    weighted, summed = build().eval(), build(fusion="sum").eval()
    summed.load_state_dict(weighted.state_dict())
    assert not torch.allclose(weighted(image)["logits"], summed(image)["logits"])


def test_s_model_learns_nothing_from_scores(batch):
    model = build(heads=["mask"])
    assert model.quantification is None
    terms = model.stages()[0].losses(batch)
    assert set(terms) == {"segmentation", "intra-task"}
    batch.scores.add_(100)
    batch.slice_scores.add_(100)
    again = model.stages()[0].losses(batch)
    assert all(torch.equal(terms[name], again[name]) for name in terms)


def test_q_model_has_no_segmentation_head_and_learns_nothing_from_labels(batch):
    model = build(heads=["head"])
    assert not any(name.startswith("segmentation") for name, _ in model.named_parameters())
    terms = model.stages()[0].losses(batch)
    assert set(terms) == {"scores", "intra-task"}
    batch.target.zero_()
    assert torch.equal(model.stages()[0].losses(batch)["scores"], terms["scores"])


@pytest.mark.parametrize(("gates", "missing"), [(["coronal"], "sagittal"), ([], "coronal")])
def test_a_closed_gate_does_not_depend_on_its_encoder(gates, missing):
    torch.manual_seed(0)
    image = torch.randn(1, 3, *GRID)
    trained = build().eval()
    model = build(gates=gates).eval()
    model.load_state_dict(trained.state_dict())  # strict: all encoders are there
    before = model(image)["logits"]
    assert not torch.allclose(before, trained(image)["logits"])
    with torch.no_grad():
        for parameter in (*model.encoders[missing].parameters(),):
            parameter.fill_(torch.nan)
    assert torch.equal(model(image)["logits"], before)


def test_a_closed_gates_encoder_is_not_trained():
    model = build(gates=["coronal"])
    trained = {id(p) for stage in model.stages() for p in stage.parameters}
    assert not trained & {id(p) for p in model.encoders["sagittal"].parameters()}
    assert {id(p) for p in model.encoders["coronal"].parameters()} <= trained


def test_without_gates_the_axial_features_pass_unchanged():
    torch.manual_seed(0)
    image = torch.randn(1, 3, *GRID)
    model = build(gates=[]).eval()
    alone = build(fusion="axial").eval()
    alone.load_state_dict(model.state_dict(), strict=False)
    assert torch.equal(model(image)["scores"], alone(image)["scores"])


def test_learned_variances_stand_in_for_the_omegas_and_drop_r_inter(batch):
    model = build(task_weights="uncertainty", omega_qua=7.0, omega_seg=7.0)
    other = build(task_weights="uncertainty")
    joint = model.stages()[0]
    terms = joint.losses(batch)
    assert "inter-task" not in terms
    torch.testing.assert_close(terms["scores"], other.stages()[0].losses(batch)["scores"])
    sum(terms.values()).backward()
    variances = dict(model.uncertainty.log_variance.items())
    assert set(variances) == {"segmentation", "scores", "slices", "presence"}
    assert all(p.grad.abs() > 0 for p in variances.values())
    assert {id(p) for p in variances.values()} <= {id(p) for p in joint.parameters}
    with torch.no_grad():
        variances["scores"].fill_(1.5)
    assert model.diagnostics["log-variance scores"] == 1.5
    assert build().diagnostics == {}


def test_the_printed_head_is_three_switches():
    head = build(head_sum="logarithms", head_pooled=0, head_norm=False).quantification
    features = torch.randn(1, 8, GRID[0], 6, 8)
    output = head.eval()(head.gather(features))
    flat = features.transpose(1, 2).flatten(2)[0]  # (Z, C * y * x)
    by_hand = head.second(torch.relu(head.first(flat))).sum(dim=0)
    assert set(output) == {"scores"}
    torch.testing.assert_close(output["scores"][0], by_hand)


def test_notes_follow_the_options():
    assert build().notes == MMWFAnet.notes
    said = " ".join(build(fusion="senet", heads=["mask"]).notes)
    assert "squeeze" in said
    assert "R_inter" not in said
    assert "omega_2" not in said
    assert "squeeze" not in " ".join(MMWFAnet.notes)
    assert "sagittal" in " ".join(build(gates=["coronal"]).notes)


def test_a_gate_at_its_mean_keeps_the_scale_and_forgets_the_place():
    torch.manual_seed(0)
    fusion = WeightedFusion(3, closed="zero").train()
    features = {view: torch.randn(2, 3, 4, 5, 6) for view in fusion.views}
    for _ in range(200):  # the running means settle
        fusion(features)
    expected = torch.sigmoid(features["sagittal"]).mean(dim=(0, 2, 3, 4))
    torch.testing.assert_close(fusion.means[1], expected, atol=1e-4, rtol=0)
    closed = WeightedFusion(3, ["coronal"], "mean").eval()
    closed.load_state_dict(fusion.state_dict())
    gate = 1 + torch.sigmoid(features["coronal"]) + fusion.means[1].view(1, 3, 1, 1, 1)
    torch.testing.assert_close(closed(features), gate * features["axial"])


def test_what_is_tested_without_a_gate_takes_the_trained_means():
    trained = build().train()
    trained(torch.randn(2, 3, *GRID))
    model = build(gates=[], closed_gates="mean")
    model.load_state_dict(trained.state_dict())
    assert torch.equal(model.fusion.means, trained.fusion.means)
    assert not torch.equal(model.fusion.means, build().fusion.means)
