"""A user's file and what it imports from its own folder: what is read, and what is then run."""

import os
import subprocess
import sys
import traceback
from pathlib import Path

import pytest

import benchmark
from benchmark import frozen
from benchmark.errors import UserError
from benchmark.frozen import import_own
from benchmark.sources import is_own, one_reading, read_code


def write(folder: Path, files: dict[str, str]) -> Path:
    """Write files below a folder; the folder."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def load(module: str):
    code = read_code(module)
    return import_own(code.digest, code.module, code.path, code.files)


@pytest.fixture(autouse=True)
def as_before(monkeypatch):
    """Python's path and modules as they were."""
    modules, path = dict(sys.modules), list(sys.path)
    yield
    frozen._make_active("", {}, "")
    for name in set(sys.modules) - set(modules):
        del sys.modules[name]
    sys.path[:] = path


IMPORTS = {
    "a module beside it": ("import util", {"util.py": ""}, ["util"]),
    "a name of a module beside it": ("from util import f", {"util.py": "f = 1"}, ["util"]),
    "in a function": ("def f():\n    import util", {"util.py": ""}, ["util"]),
    "a module of a package": (
        "from parts.blocks import f",
        {"parts/__init__.py": "", "parts/blocks.py": "f = 1", "parts/other.py": ""},
        ["parts", "parts.blocks"],
    ),
    "a module as a name of a package": (
        "from parts import blocks",
        {"parts/__init__.py": "", "parts/blocks.py": ""},
        ["parts", "parts.blocks"],
    ),
    "relatively within a package": (
        "import parts",
        {"parts/__init__.py": "from .a import f", "parts/a.py": "from . import b\nf = b",
         "parts/b.py": ""},
        ["parts", "parts.a", "parts.b"],
    ),
    "a package without __init__.py": (
        "from parts.deep.blocks import f", {"parts/deep/blocks.py": "f = 1"},
        ["parts", "parts.deep", "parts.deep.blocks"],
    ),
    "one by another": ("import a", {"a.py": "import b", "b.py": "import a"}, ["a", "b"]),
    "by a name that it makes up": (
        "import importlib\nx = [importlib.import_module(n) for n in ('a', 'b')]",
        {"a.py": "", "b.py": ""},
        ["a", "b"],
    ),
    "Python's own library": ("import statistics, json", {"statistics.py": "1 / 0"}, []),
    "an installed package": ("import pytest, numpy", {"numpy.py": "1 / 0"}, []),
    "nothing that is there": ("try:\n    import nothing\nexcept ImportError:\n    pass", {}, []),
}  # fmt: skip


@pytest.mark.parametrize("name", IMPORTS)
def test_what_a_file_imports_from_its_folder_is_read_and_run(name, tmp_path):
    text, files, wanted = IMPORTS[name]
    write(tmp_path, {"net.py": text, **files})
    code = read_code(f"{tmp_path}/net.py")
    assert sorted(set(code.files) - {code.module}) == sorted(wanted)
    for other in files:
        before = read_code(f"{tmp_path}/net.py").text
        (tmp_path / other).write_text(files[other] + "\n# changed", encoding="utf-8")
        own = other.removesuffix(".py").replace("/__init__", "").replace("/", ".") in wanted
        assert (read_code(f"{tmp_path}/net.py").text != before) == own
        assert code.changed() if own else True
    # and what was read is what is run, though the files are gone
    for other in files:
        if other not in ("statistics.py", "numpy.py"):
            (tmp_path / other).unlink()
    import_own(code.digest, code.module, code.path, code.files)


def test_the_working_folders_modules_count_where_python_looks_there(tmp_path, monkeypatch):
    write(tmp_path, {"sub/net.py": "import shared", "shared.py": "x = 1"})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert "shared" in read_code("sub/net.py").files


def test_a_file_of_a_package_may_import_relatively(tmp_path):
    write(tmp_path, {
        "pack/__init__.py": "", "pack/net.py": "from . import blocks\nfrom .deep.er import y",
        "pack/blocks.py": "x = 1", "pack/deep/__init__.py": "", "pack/deep/er.py": "y = 2",
    })  # fmt: skip
    module = load(f"{tmp_path}/pack/net.py")
    assert (module.blocks.x, module.y) == (1, 2)


def test_modules_of_one_name_in_two_folders_stay_apart(tmp_path):
    for name in ("one", "two"):
        write(tmp_path / name, {"net.py": "import util\ndef later():\n    import late\n"
                                "    return late.x, util.x", "util.py": f"x = {name!r}",
                                "late.py": f"x = 'late {name}'"})  # fmt: skip
    one, two = load(f"{tmp_path}/one/net.py"), load(f"{tmp_path}/two/net.py")
    assert two.later() == ("late two", "two")
    assert load(f"{tmp_path}/one/net.py") is one, "it is imported once"
    assert one.later() == ("late one", "one")
    assert load(f"{tmp_path}/two/net.py") is two
    assert two.later() == ("late two", "two")


def test_a_module_that_is_loaded_already_is_put_aside_and_comes_back(tmp_path):
    write(tmp_path / "other", {"util.py": "x = 'theirs'"})
    sys.path.insert(0, str(tmp_path / "other"))
    import util

    write(tmp_path / "own", {"net.py": "from util import x", "util.py": "x = 'own'"})
    assert load(f"{tmp_path}/own/net.py").x == "own"
    frozen._make_active("another", {}, str(tmp_path))
    assert sys.modules["util"] is util


def test_tracebacks_name_the_users_file_and_quote_what_was_run(tmp_path):
    path = write(tmp_path, {"net.py": "def fail():\n    raise ValueError('old')  # as it was\n"})
    module = load(f"{path}/net.py")
    (path / "net.py").write_text("# another\n# text\n", encoding="utf-8")
    with pytest.raises(ValueError, match="old") as caught:
        module.fail()
    text = "".join(traceback.format_exception(caught.value))
    assert f'"{path}/net.py", line 2' in text
    assert "# as it was" in text


def test_a_file_that_reads_the_command_line_finds_none_of_this_programs(tmp_path):
    text = "import argparse\np = argparse.ArgumentParser()\np.add_argument('--lr', default=1)\n"
    path = write(tmp_path, {"net.py": f"{text}lr = p.parse_args().lr\n"})
    assert load(f"{path}/net.py").lr == 1


def test_within_one_reading_a_file_is_read_once(tmp_path):
    path = write(tmp_path, {"net.py": "x = 1"}) / "net.py"
    with one_reading():
        first = read_code(str(path))
        path.write_text("x = 2", encoding="utf-8")
        assert read_code(str(path)) is first
    assert read_code(str(path)).text == "x = 2"


def test_a_file_in_another_encoding_and_one_with_a_mark_at_its_start(tmp_path):
    (tmp_path / "a.py").write_bytes(
        "# -*- coding: latin-1 -*-\nname = 'Müller'\n".encode("latin-1")
    )
    (tmp_path / "b.py").write_bytes(b"\xef\xbb\xbfname = 'x'\r\n")
    assert load(f"{tmp_path}/a.py").name == "Müller"
    assert load(f"{tmp_path}/b.py").name == "x"


def test_a_folder_of_something_else_is_refused_in_words(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmark.import_statements.MOST_FILES", 3)
    write(tmp_path, {"net.py": "import a, b, c", "a.py": "", "b.py": "", "c.py": ""})
    with pytest.raises(UserError, match="more than 3 files"):
        read_code(f"{tmp_path}/net.py")


def test_whose_a_target_is():
    assert is_own("path/to/net.py:Net")
    assert is_own("baselines/unet3d.py:UNet3D")
    assert is_own("their_package.net:Net")
    assert not is_own("mmwfanet.model:MMWFAnet")


COPY = """
import subprocess, sys
from pathlib import Path
from benchmark import frozen
frozen.freeze()
late = Path(frozen.__file__).parent / "cores.py"
late.write_text("usable_cores = lambda: 'edited'")
(late.parent / "training" / "stop.py").write_text("1 / 0")
from benchmark.cores import usable_cores
print(usable_cores() == "edited")
copy = Path(sys.argv[1])
frozen.write_copy(copy)
then = "from benchmark.cores import usable_cores; import benchmark.training.stop; "
then += "from benchmark import frozen; print(usable_cores() == 'edited', len(frozen.freeze()) > 99)"
print(subprocess.run([sys.executable, "-c", frozen.starter(copy, then)], check=True,
                     capture_output=True, text=True).stdout)
"""


def test_an_edit_of_this_program_reaches_no_process_of_a_run(tmp_path):
    """Neither what this process imports later, nor a new interpreter that it starts."""
    home = Path(benchmark.__file__).parents[1]
    for package in frozen.PACKAGES:
        for path in (home / package).rglob("*.py"):
            target = tmp_path / path.relative_to(home)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    done = subprocess.run(
        [sys.executable, "-c", COPY, str(tmp_path / "copy.pickle")],
        env={**os.environ, "PYTHONPATH": str(tmp_path)}, cwd=tmp_path, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.stdout.split() == ["False", "False", "True"], done.stderr
