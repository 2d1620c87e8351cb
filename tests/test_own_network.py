"""A network of one's own: a file to start from, and a check that says what is wrong."""

import pytest

from benchmark.cli import main

HEAD = """
import torch
from torch import nn


class Net(nn.Module):
    outputs = ("mask",)
    notes = ("a toy",)

    def __init__(self, grid, in_channels, width):
        super().__init__()
        self.layer = nn.Conv3d(in_channels, 4, 3, padding=1)

    def forward(self, image):
        return {"logits": self.layer(image)}
"""


def change(old, new):
    assert old in HEAD
    return HEAD.replace(old, new)


LAYER = "        self.layer = nn.Conv3d(in_channels, 4, 3, padding=1)\n"
FORWARD = '        return {"logits": self.layer(image)}\n'
WRONG = {
    "no outputs": (change('outputs = ("mask",)', 'outputs = "mask"'), 'outputs = ("mask",)'),
    "no notes": (change('notes = ("a toy",)', "notes = ()"), "there are no notes"),
    "an option without a default": (change("width):", "width, depth):"), "'depth' has no default"),
    "an option that JSON cannot hold": (
        change("width):", "width, kind=nn.ReLU):"), "cannot be written as JSON",
    ),
    "no logits": (change('"logits"', '"masks"'), "does not give 'logits'"),
    "a tensor instead of a dict": (
        change(FORWARD, "        return self.layer(image)\n"), "not a dict",
    ),
    "another size": (change("padding=1", "padding=0"), "(2, 4, 6, 10, 10)"),
    "one grid alone": (
        change(FORWARD, '        return {"logits": self.layer(image)[:, :, :8, :12, :12]}\n'),
        "on a grid of 9 x 13 x 11 cells",
    ),
    "scans that are mixed": (
        change(FORWARD, '        return {"logits": self.layer(image) - image.mean()}\n'),
        "depends on the other scans",
    ),
    "chance": (
        change(FORWARD, '        return {"logits": self.layer(image) + torch.randn(1)}\n'),
        "differs between two calls",
    ),
    "a layer that nobody uses": (
        change(LAYER, LAYER + "        self.other = nn.Linear(2, 2)\n"), "other.weight",
    ),
    "no gradient": (
        change(FORWARD, '        return {"logits": self.layer(image).detach()}\n'),
        "the loss depends on no parameter",
    ),
    "a loss of no cell": (
        HEAD + "\n    def losses(self, output, batch):\n        picked = output['logits']"
        ".movedim(1, -1)[batch.target > 0]\n"
        "        return {'own': (picked[:, 0] - 1).square().mean()}\n",
        "a third of all patients have none",
    ),
    "a loss that does not fall": (
        HEAD + "\n    def losses(self, output, batch):\n"
        "        return {'own': 100 + 1e-6 * output['logits'].mean()}\n",
        "should fall below",
    ),
    "state outside the state": (
        change(LAYER, LAYER + "        self.bias = torch.rand(1)\n").replace(
            "self.layer(image)}", "self.layer(image) + self.bias}"
        ),
        "register_buffer",
    ),
    "an error of its own": (
        change(FORWARD, "        return {'logits': self.layer(image) / nothing}\n"),
        "NameError at line 15",
    ),
    "no module": ("class Net:\n    outputs = ('mask',)\n", "not a torch.nn.Module"),
    "shares": (
        HEAD + "\n    def stages(self):\n        from benchmark.contract import Stage, losses_of\n"
        "        step = lambda batch: losses_of(self, self(batch.image), batch)\n"
        "        return [Stage('one', 0.7, step, self.parameters())]\n",
        "add up to 0.7",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said_in_plain_words(name, tmp_path, capsys):
    text, word = WRONG[name]
    path = tmp_path / "net.py"
    path.write_text(text, encoding="utf-8")
    assert main(["check-method", f"{path}:Net"]) == 1
    out = capsys.readouterr().out
    assert "WRONG" in out
    assert word in out
    assert "Traceback" not in out


def test_the_toy_itself_is_right(tmp_path, capsys):
    path = tmp_path / "net.py"
    path.write_text(HEAD, encoding="utf-8")
    assert main(["check-method", f"{path}:Net"]) == 0
    out = capsys.readouterr().out
    assert "WRONG" not in out
    # 3 x 4 x 27 weights and 4 biases
    assert "328 parameters" in out


def test_the_written_network_passes_as_it_is(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["new-method", "my-net"]) == 0
    out = capsys.readouterr().out
    assert "check-method my_net.py:MyNet" in out
    assert "--methods mmwfanet,my_net.py:MyNet" in out
    assert main(["check-method", "my_net.py:MyNet"]) == 0
    assert 30 <= len((tmp_path / "my_net.py").read_text().splitlines()) <= 60


def test_a_file_is_never_written_over(tmp_path, capsys):
    path = tmp_path / "my_net.py"
    path.write_text("mine", encoding="utf-8")
    assert main(["new-method", "my-net", "--out", str(path)]) == 2
    assert "left as it is" in capsys.readouterr().err
    assert path.read_text() == "mine"


BAD = {
    "no such file": (["check-method", "no/net.py:Net"], "no/net.py"),
    "no class named": (["check-method", "net.py"], "net.py:Net"),
    "no such class": (["check-method", "net.py:Other"], "'Other'"),
    "broken syntax": (["check-method", "broken.py:Net"], "SyntaxError"),
    "unknown name": (["check-method", "unet"], "'unet3d'"),
    "no network": (["check-method", "all-lad"], "learns nothing"),
    "no name": (["new-method", "3d"], "begin with a letter"),
    "another ending": (["new-method", "net", "--out", "net.txt"], ".py"),
    "no folder": (["new-method", "net", "--out", "nowhere/net.py"], "nowhere/net.py"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_gives_one_line_and_status_2(name, tmp_path, monkeypatch, capsys):
    arguments, word = BAD[name]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(HEAD, encoding="utf-8")
    (tmp_path / "broken.py").write_text("class Net(:\n", encoding="utf-8")
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert word in error
