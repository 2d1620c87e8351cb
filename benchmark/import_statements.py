"""What the import statements of a file lead to, read from its syntax; nothing is imported."""

from __future__ import annotations

import ast
import site
import sys
import sysconfig
from collections.abc import Iterable
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

from benchmark.errors import UserError
from benchmark.frozen import PACKAGES, File, read_file

NEVER_OWN = frozenset(
    {*sys.stdlib_module_names, *PACKAGES, "torch", "torchvision", "numpy", "scipy", "cc3d", "yaml",
     "click", "rich", "pydantic", "safetensors", "matplotlib"}
)  # fmt: skip
"""Names that mean the same in every process, whatever lies beside a network's file."""

MOST_FILES = 2000
MOST_BYTES = 64 << 20
"""Of one network's own files; more is a folder of something else."""


def statements(data: bytes | str, name: str = "", is_package: bool = False) -> list[str]:
    """Modules named in import statements; ``from a import b`` may name a module ``a.b``.

    Parameters
    ----------
    data : bytes or str
        A file's text; one with broken syntax, which says so when imported, names nothing.
    name : str
        Of the module, by which relative imports are understood.
    is_package : bool
        Whether the file is an ``__init__.py``.
    """
    found: dict[str, None] = {}
    for node in ast.walk(_tree(data)):
        if isinstance(node, ast.Import):
            found.update(dict.fromkeys(alias.name for alias in node.names))
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = name.split(".")
                above = parts[: len(parts) - node.level + is_package]
                if not above:
                    continue
                base = ".".join([*above, *([node.module] if node.module else [])])
            found[base] = None
            found.update(dict.fromkeys(f"{base}.{a.name}" for a in node.names if a.name != "*"))
    return list(found)


def is_relative(data: bytes) -> bool:
    """Whether a file imports relatively to the package it lies in."""
    return any(isinstance(n, ast.ImportFrom) and n.level for n in ast.walk(_tree(data)))


def _makes_names_up(data: bytes) -> bool:
    """Whether a file calls ``import_module`` or ``__import__``."""
    names = ("import_module", "__import__")
    return any(
        (isinstance(node, ast.Name) and node.id in names)
        or (isinstance(node, ast.Attribute) and node.attr in names)
        for node in ast.walk(_tree(data))
    )


def _tree(data: bytes | str) -> ast.AST:
    try:
        return ast.parse(data)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ast.Module([], [])


class Reader:
    """Reads a network's files, following what they import.

    Parameters
    ----------
    beside : iterable of Path
        Folders whose modules are the network's own.
    tops : dict of Path
        Packages that are the network's own wherever they lie: file, or folder, by name.
    """

    def __init__(self, beside: Iterable[Path], tops: dict[str, Path] | None = None) -> None:
        self.files: dict[str, File] = {}
        self._beside, self._tops = tuple(beside), tops or {}
        self._waiting: list[str] = []
        self._bytes = 0

    def add(self, name: str, path: Path) -> None:
        """Read a module's file.

        Raises
        ------
        UserError
            If it cannot be read, or the files are more than `MOST_FILES`.
        """
        if name in self.files:
            return
        try:
            if not path.is_file() or path.stat().st_size > MOST_BYTES:
                raise UserError(f"{path}: not a file of at most {MOST_BYTES >> 20} MB")
            file = read_file(path, path.name == "__init__.py")
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror})") from None
        self.files[name] = file
        self._bytes += len(file[2])
        if len(self.files) > MOST_FILES or self._bytes > MOST_BYTES:
            raise UserError(
                f"{path}: what the network imports is more than {MOST_FILES} files or "
                f"{MOST_BYTES >> 20} MB; keep it in a folder of its own"
            )
        self._waiting.append(name)

    def follow(self) -> None:
        """Read what they import, directly or not."""
        while self._waiting:
            name = self._waiting.pop()
            path, is_package, data, _ = self.files[name]
            if data is None or not path.endswith(".py"):
                continue
            for wanted in statements(data, name, is_package):
                self.find(wanted)
            if _makes_names_up(data):
                self._all_of(Path(path).parent, name, is_package)

    def find(self, name: str) -> None:
        """Read a module if it is the network's own, and the packages it lies in."""
        parts, place = name.split("."), Path()
        for count in range(1, len(parts) + 1):
            part = ".".join(parts[:count])
            if part not in self.files:
                path = self._top(part) if count == 1 else _in([place], parts[count - 1])
                if path is None:
                    return
                if path.is_dir():
                    self.files[part] = (str(path), True, None, 0.0)
                else:
                    self.add(part, path)
            path, is_package, data, _ = self.files[part]
            if not is_package:
                return
            place = Path(path) if data is None else Path(path).parent

    def _top(self, name: str) -> Path | None:
        """The file of a module without dots; None if it is not the network's own."""
        if name in NEVER_OWN:
            return None
        if name in self._tops:
            return self._tops[name]
        path = _in(self._beside, name)
        if path is not None and path.is_dir():
            # a folder without __init__.py stands back behind a package of that name
            return None if _in(map(Path, filter(None, sys.path)), name, folders=False) else path
        return path

    def _all_of(self, folder: Path, name: str, is_package: bool) -> None:
        """Read all modules beside a file that imports some by names it makes up."""
        package = name if is_package else name.rpartition(".")[0]
        known = {file[0] for file in self.files.values()}
        for path in sorted(folder.glob("*.py")):
            if path.stem == "__init__" or str(path) in known or not path.stem.isidentifier():
                continue
            if package or path.stem not in NEVER_OWN:
                self.add(f"{package}.{path.stem}" if package else path.stem, path)


def _in(places: Iterable[Path], name: str, folders: bool = True) -> Path | None:
    """The file of a module in some folders, as Python finds it; a folder if it is only that."""
    only = None
    for place in places:
        for path in (
            place / name / "__init__.py",
            *(place / f"{name}{suffix}" for suffix in (*EXTENSION_SUFFIXES, ".py")),
        ):
            if path.is_file():
                return path
        if folders and only is None and (place / name).is_dir():
            only = place / name
    return only


@cache
def is_installed(folder: Path) -> bool:
    """Whether a folder holds, or lies in one that holds, Python's library or installed packages."""
    paths = sysconfig.get_paths()
    roots = [Path(paths[name]) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    roots += [Path(place) for place in (*site.getsitepackages(), site.getusersitepackages())]
    own = folder.resolve()
    return (
        bool({"site-packages", "dist-packages"} & set(own.parts))
        or any(own.is_relative_to(root.resolve()) for root in roots)
        or any(any(place.glob("*.dist-info")) for place in (own, *own.parents))
    )
