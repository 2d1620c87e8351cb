"""Methods of installed packages: found by name, imported only when asked for."""

import sys

import pytest

from benchmark.errors import UserError
from benchmark.plugins import GROUP, installed

NET = """
class Net:
    outputs = ("mask",)
"""


@pytest.fixture(autouse=True)
def fresh():
    installed.cache_clear()
    yield
    installed.cache_clear()


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A function that installs a package as pip would: its module and its metadata."""

    def install(name, **points):
        home = tmp_path / name
        home.mkdir()
        (home / f"{name}_net.py").write_text(NET)
        info = home / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        lines = [f"{key.replace('_', '-')} = {value}" for key, value in points.items()]
        (info / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *lines]) + "\n")
        monkeypatch.syspath_prepend(home)

    return install


def test_a_package_offers_a_method_which_is_imported_when_loaded(package):
    package("theirs", their_net="theirs_net:Net")
    method = installed()["their-net"]
    assert method.target == "theirs_net:Net"
    assert "theirs_net" not in sys.modules
    assert method.load().outputs == ("mask",)


def test_no_package_takes_a_name_over(package):
    package("theirs", unet3d="theirs_net:Net")
    assert "unet3d" not in installed()


def test_two_packages_with_one_name_are_told(package):
    package("one", net="one_net:Net")
    package("two", net="two_net:Net")
    with pytest.raises(UserError, match="one_net:Net and two_net:Net"):
        installed()
