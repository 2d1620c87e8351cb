"""Names of methods as text: what is read in them, titles and files that nobody confuses."""

import pytest
from click.testing import CliRunner

from benchmark.errors import UserError
from benchmark.methods import METHODS, find, with_own_titles
from benchmark.names import file_names, slug, split_base, split_names, system_name, told_apart
from benchmark.runs.request import split_names as split_methods

NET = """
from torch import nn

class Net(nn.Module):
    outputs = ("mask",)
    notes = ("a toy",)

    def __init__(self, grid, in_channels, width, depth=1, note=""):
        super().__init__()
        self.body = nn.Conv3d(in_channels, 4, 3, padding=1)

    def forward(self, image):
        return {"logits": self.body(image)}
"""
FOLDERS = (
    "c++",
    "a,b",
    "my nets",
    "k=v",
    "a:b",
    "user@host",
    "a[1,2]",
    "a]b",
    "a[b",
    "netz-ü",
    "+x=1",
)


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in FOLDERS:
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "net.py").write_text(NET, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_file_in_any_folder_can_be_named(place, folder):
    name = f"{folder}/net.py:Net"
    assert find(name).target == name
    changed = find(f"{name}+depth=3+note='a+b, c'")
    assert (changed.base, changed.options) == (name, {"depth": 3, "note": "a+b, c"})
    around = ["unet3d", f"{name}+depth=3", "mmwfanet+gates=[coronal, sagittal]", name]
    assert split_methods(", ".join(around)) == around


def test_what_is_not_there_is_said_by_its_own_name(place):
    for name, words in (
        ("d++/net.py:Net", "no such file: d\\+\\+/net.py"),
        ("d,e/net.py:Net", "no such file: d,e/net.py"),
        ("mmwfanet+fusion", "METHOD\\+OPTION=VALUE"),
        ("unet+depth=3", "unknown method 'unet'"),
    ):
        with pytest.raises(UserError, match=words):
            find(name).load()


def test_a_name_that_may_be_two_files_is_refused(place):
    (place / "net.py").write_text(NET)
    (place / "net.py:Net+note=b").mkdir()
    (place / "net.py:Net+note=b" / "net.py").write_text(NET)
    with pytest.raises(UserError, match="may be"):
        find("net.py:Net+note=b/net.py:Net")
    (place / "net.py:Net,b").mkdir()
    (place / "net.py:Net,b" / "net.py").write_text(NET)
    (place / "b").mkdir()
    (place / "b" / "net.py").write_text(NET)
    with pytest.raises(UserError, match="one file and also 2 methods"):
        split_names("net.py:Net,b/net.py:Net")


def test_known_names_come_before_signs():
    assert split_base("a+b", {"a+b"}) == ("a+b", "")
    assert split_base("a+b=1+x=2", {"a+b=1"}) == ("a+b=1", "+x=2")
    assert split_names("x,y,z", {"x,y"}) == ["x,y", "z"]
    assert find("mmwfanet+lambda_inter=1e+3").options == {"lambda_inter": 1000.0}


def test_the_command_that_check_method_proposes_names_the_file(place):
    import shlex

    from benchmark.cli import cli

    for folder in ("my nets", "c++", "a,b"):
        told = CliRunner().invoke(
            cli, ["check-method", f"{folder}/net.py:Net"], catch_exceptions=False
        )
        last = told.output.splitlines()[-1]
        assert "ready" in last
        named = shlex.split(last.partition("benchmark run ")[2])[-1]
        assert split_methods(named) == ["mmwfanet", f"{folder}/net.py:Net"]


def test_equal_titles_get_what_differs_of_the_path():
    names = ["one/net.py:Tiny", "two/net.py:Tiny", "two/net.py:Tiny+depth=3", "unet3d"]
    found = told_apart(zip(names, ["Tiny", "Tiny", "Tiny depth 3", "3D U-Net"], strict=True))
    assert list(found.values()) == [
        "Tiny (one/net.py)",
        "Tiny (two/net.py)",
        "Tiny (two/net.py) depth 3",
        "3D U-Net",
    ]


def test_the_own_method_keeps_its_title_beside_a_class_of_that_name():
    methods = [
        METHODS["mmwfanet"],
        METHODS["mmwfanet"].__class__(
            "x/net.py:MMWFAnet", "MMWFAnet", "x/net.py:MMWFAnet", ("mask",)
        ),
    ]
    assert [m.title for m in with_own_titles(methods)] == ["MMWFAnet", "MMWFAnet (net.py)"]


def test_equal_titles_of_ablations_get_their_names():
    found = told_apart([("a", "same"), ("b", "same"), ("c", "same (b)")])
    assert len(set(found.values())) == 3
    assert found["a"] == "same (a)"


def test_no_two_methods_share_a_file():
    names = ["one/net.py:Tiny", "two/net.py:Tiny", "x/two/net.py:Tiny", "NET-tiny", "unet3d"]
    files = file_names(names)
    assert len({file.lower() for file in files.values()}) == len(names)
    assert files["unet3d"] == "unet3d"
    assert files["one/net.py:Tiny"] == "one-net-Tiny"
    assert len(slug("n" * 1000)) < 200
    assert system_name("Our Net") == "our-net"
    assert system_name("网络") != system_name("心脏")
