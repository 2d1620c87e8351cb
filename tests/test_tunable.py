"""What a class declares that may be tuned, and the space that a run makes of it."""

import pytest
from torch import nn

from benchmark.cli import main
from benchmark.errors import UserError
from benchmark.methods import METHODS, find
from benchmark.training.settings import Budget, Settings
from benchmark.tunable import declared, fault_of
from benchmark.tuning import applied, in_words, trial_budget, tuned

SETTINGS = Settings("60 s", (3.0, 7.5, 7.5), 16, 3, 0.003)


def kind(**stated):
    return type("Kind", (), {"tunable": stated})


def test_ranges_and_choices():
    found, fault = declared(kind(a=(0.1, 1), b=(1e-3, 0.1, "log"), c=(2, 4), d=["mean", "max"]))
    assert not fault
    assert found["a"] == {"low": 0.1, "high": 1, "log": False, "whole": False}
    assert found["b"]["log"]
    assert found["c"]["whole"]
    assert found["d"] == {"choices": ["mean", "max"]}
    assert declared(nn.Module) == ({}, "")


@pytest.mark.parametrize(
    "stated",
    [
        (1, 0), (0, 1, "log"), (0, 1, "linear"), (1,), [1], [1, 1], [], 3, "ab", (0, float("inf")),
        (True, False), [nn.ReLU, nn.GELU], [[1], [2]], (0.0, float("nan")), list(range(60)),
    ],
)  # fmt: skip
def test_what_is_no_range_and_no_list_of_choices_is_said(stated):
    found, fault = declared(kind(a=stated))
    assert not found
    assert fault.startswith("tunable['a'] is ")


@pytest.mark.parametrize("stated", [(-1.0, 1.0), [0, 1], ["half", "whole"]])
def test_a_multiple_is_above_zero(stated):
    assert "above 0" in declared(kind(width=stated))[1]


@pytest.mark.parametrize("stated", [[1], {1: (0, 1)}, "width", {str(n): (0, 1) for n in range(60)}])
def test_a_declaration_is_a_dict_by_name(stated):
    assert declared(type("Kind", (), {"tunable": stated}))[1]


def test_a_name_that_is_no_option_is_said():
    facts = {"defaults": {"depth": 2}, "tunable": {"dept": {}}, "takes_any": False}
    assert "'dept', which is no option" in fault_of(facts)
    assert not fault_of({**facts, "takes_any": True})


def space(name="mmwfanet", settings=SETTINGS, changed=(), fresh=True, **options):
    method = find(name).settled({name: options})
    row = tuned(method, set(changed), settings.as_dict(), 4, ("a", "b", "c"), fresh)
    return row.tuning


def test_every_trained_method_has_a_space_that_holds_its_defaults():
    for name, method in METHODS.items():
        if method.trained and not method.external and method.retrain:
            tuning = space(name)
            assert "learning_rate" in tuning.space
            for spec in tuning.space.values():
                if "choices" in spec:
                    assert spec["default"] in spec["choices"]
                else:
                    assert spec["low"] <= spec["default"] <= spec["high"]


def test_a_default_outside_of_what_is_declared_widens_it():
    assert space(omega_qua=3.0).space["omega_qua"]["high"] == 3.0
    assert "omega_qua" not in space(omega_qua=0.0).space  # on a scale of logarithms


def test_what_makes_an_ablation_is_left_alone():
    assert "omega_qua" not in space(changed=["omega_qua"]).space
    assert "omega_qua" in space(changed=["lambda_inter"]).space


@pytest.mark.parametrize("unit", ["steps", "samples"])
def test_width_is_tuned_where_it_costs_something(unit):
    assert "width" in space().space
    free = Settings(f"600 {unit}", (3.0, 7.5, 7.5), 16, 3, 0.003)
    assert "width" not in space(settings=free).space


def test_weights_that_are_there_fix_the_network():
    assert set(space(fresh=False).space) == {"learning_rate"}


def test_the_row_is_another_method_of_the_same_family():
    row = tuned(find("avl").settled(), {"fusion"}, SETTINGS.as_dict(), 4, ())
    assert (row.name, row.title, row.family) == ("avl tuned", "AVL tuned", "mmwfanet")
    assert row.paper is None


@pytest.mark.parametrize(("multiple", "width"), [(1, 18), (0.75, 12), (1.5, 28), (0.01, 4)])
def test_a_width_is_a_multiple_of_four_and_the_suites_own_as_it_is(multiple, width):
    settings = Settings("60 s", (3.0, 7.5, 7.5), 18, 3, 0.003)
    values, options = applied({"width": multiple, "learning_rate": 2.0, "omega": 0.25}, settings)
    assert values == {"width": width, "learning_rate": 0.006}
    assert in_words({"settings": values, "options": options}) == (
        f"learning_rate 0.006, width {width}, omega 0.25"
    )


def test_a_trial_gets_its_part_of_a_third():
    assert trial_budget(Budget(60, "device-seconds"), 4).amount == pytest.approx(5)
    assert trial_budget(Budget(12, "steps"), 4).amount == 1
    with pytest.raises(UserError, match="take fewer trials, or --budget '15 steps'"):
        trial_budget(Budget(12, "steps"), 5)


NET = """
import torch
from torch import nn


class Net(nn.Module):
    outputs = ("mask",)
    notes = ("a toy",)
    tunable = TUNABLE

    def __init__(self, grid, in_channels, width, depth=1):
        super().__init__()
        layers = [nn.Conv3d(in_channels, width, 3, padding=1)]
        layers += [nn.Conv3d(width, width, 3, padding=1) for _ in range(depth - 1)]
        self.layers = nn.Sequential(*layers, nn.Conv3d(width, 4, 1))

    def forward(self, image):
        return {"logits": self.layers(image)}
"""


@pytest.mark.parametrize(
    ("stated", "status", "words"),
    [
        ('{"depth": [1, 2]}', 0, "ok     what may be tuned is declared well"),
        ('{"dept": [1, 2]}', 1, "WRONG  what may be tuned is declared well: tunable names 'dept'"),
        ('{"depth": 2}', 1, "tunable['depth'] is 2"),
    ],
)
def test_check_method_says_it(stated, status, words, tmp_path, capsys):
    path = tmp_path / "net.py"
    path.write_text(NET.replace("TUNABLE", stated))
    assert main(["check-method", f"{path}:Net"]) == status
    assert words in capsys.readouterr().out
