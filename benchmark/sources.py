"""The text of a network's own files; nothing of theirs is imported here, nor is torch.

A network's files are read once, when a run is planned: what is read is what the cell's key hashes
and what the cell runs.
"""

from __future__ import annotations

import hashlib
import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.metadata import packages_distributions
from importlib.util import decode_source, find_spec
from pathlib import Path

from benchmark.errors import UserError
from benchmark.frozen import PACKAGES, File
from benchmark.import_statements import Reader, is_installed, is_relative
from benchmark.program import packages_of


@dataclass(frozen=True)
class Code:
    """A user's file and all that it imports from its own folder, as they were when read.

    Attributes
    ----------
    module : str
        The name that it is imported under.
    path : str
        The file.
    files : dict
        `benchmark.frozen.File` by the name under which each is imported.
    found : tuple of (str, str)
        Names and files that no import statement in its own folder leads to, seen when it was
        imported.
    """

    module: str
    path: str
    files: dict[str, File] = field(repr=False)
    found: tuple[tuple[str, str], ...] = ()

    @cached_property
    def text(self) -> str:
        """All texts, the file itself first; for the key of a cell."""
        packages: dict[str, str] = {}
        for file in self.files.values():
            if file[2] is not None:
                packages |= packages_of(_decoded(file))
        beside = [
            f"# {name}\n{_decoded(file)}"
            for name, file in sorted(self.files.items())
            if name != self.module and file[2] is not None
        ]
        texts = (packages[name] for name in sorted(packages))
        return "\n".join([_decoded(self.files[self.module]), *texts, *beside])

    @cached_property
    def digest(self) -> str:
        """Tells it from any other code, and from the same text at another place."""
        return hashlib.sha256(f"{self.path}\0{self.text}".encode()).hexdigest()

    def changed(self) -> tuple[str, ...]:
        """Names of its files that are no longer as they were read."""
        return tuple(
            Path(file[0]).name
            for file in self.files.values()
            if file[2] is not None and _bytes(file[0]) != file[2]
        )

    def with_found(self, found: dict[str, str]) -> Code:
        """The same with files that were seen only when it was imported, by name.

        Raises
        ------
        UserError
            If one is gone, or they are too many.
        """
        known = {file[0] for file in self.files.values()}
        new = {n: p for n, p in found.items() if n not in self.files and p not in known}
        if not new:
            return self
        reader = Reader(())
        reader.files.update(self.files)
        for name, path in new.items():
            reader.add(name, Path(path))
        return replace(self, files=reader.files, found=(*self.found, *sorted(new.items())))


def is_own(target: str) -> bool:
    """Whether ``path/to/net.py:Net`` or ``package.module:Net`` is a user's, not this program's."""
    module = target.rpartition(":")[0]
    return module.endswith(".py") or module.partition(".")[0] not in PACKAGES


_given: dict[str, Code] = {}
_reading: dict[str, Code] | None = None


def give(codes: dict[str, Code]) -> None:
    """Let this process take these for what those modules are, whatever the disk holds by now."""
    _given.update(codes)


def read_code(module: str) -> Code:
    """Read a user's file and all files that it imports from its own folder.

    Its own folder is the one it lies in, and the working folder where Python looks for modules
    there; of a package, the package.

    Parameters
    ----------
    module : str
        ``path/to/net.py`` or ``package.module``.

    Raises
    ------
    UserError
        If a file is not there or cannot be read, or they are too many.
    """
    for known in (_given, _reading or {}):
        if module in known:
            return known[module]
    code = _read_anew(module)
    remember(module, code)
    return code


@contextmanager
def one_reading() -> Iterator[None]:
    """Within, each user's file is read once, though it be asked for several times."""
    global _reading
    if _reading is not None:
        yield
        return
    _reading = {}
    try:
        yield
    finally:
        _reading = None


def remember(module: str, code: Code) -> None:
    """Let this be what `read_code` gives until `one_reading` ends."""
    if _reading is not None:
        _reading[module] = code


def _read_anew(module: str) -> Code:
    importlib.invalidate_caches()
    if module.endswith(".py"):
        path = Path(module)
        if not path.is_file():
            raise UserError(f"no such file: {path} (a method may be given as path/to/net.py:Net)")
        path = path.absolute()
        name, folder = _name_of(path)
        reader = Reader(dict.fromkeys([path.parent, folder, *_working()]))
        if "." in name:
            reader.find(name)
        reader.add(name, path)
    else:
        name, top = module, module.partition(".")[0]
        places = _places(top)
        if not places:
            raise UserError(f"no module {top!r} is installed or found on Python's path")
        folder = places[top].parent.parent if places[top].stem == "__init__" else places[top].parent
        reader = Reader([] if is_installed(folder) else [folder, *_working()], places)
        reader.find(name)
        if name not in reader.files or reader.files[name][2] is None:
            raise UserError(f"{places[top]}: holds no module {name!r}")
    reader.follow()
    return Code(name, reader.files[name][0], reader.files)


def modules_beyond(code: Code, before: set[str]) -> dict[str, str]:
    """Modules that this process has imported and a user's code does not hold: file by name.

    Parameters
    ----------
    code : Code
    before : set of str
        Modules that were there before. Installed packages and this program's own do not count.
    """
    found = {}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if name in before or name in code.files or name.partition(".")[0] in PACKAGES:
            continue
        if isinstance(file, str) and file.endswith(".py") and Path(file).is_file():
            path = Path(file).absolute()
            if not is_installed(path.parent):
                found[name] = str(path)
    return found


def _working() -> list[Path]:
    """The working folder, if Python looks for modules there."""
    here = Path.cwd()
    return [here] if {"", str(here)} & set(sys.path) and not is_installed(here) else []


def _places(top: str) -> dict[str, Path]:
    """Where a package lies, and others of the same installed distribution; empty if unknown."""
    distributions = packages_distributions()
    own = set(distributions.get(top, ()))
    names = [top, *(n for n, given in distributions.items() if n != top and own & set(given))]
    found = {}
    for name in names:
        try:
            spec = find_spec(name)  # imports nothing, as the name has no dot
        except (ImportError, ValueError, AttributeError):
            continue
        if spec is not None and spec.origin and spec.origin.endswith((".py", ".so", ".pyd")):
            found[name] = Path(spec.origin)
        elif spec is not None and spec.submodule_search_locations:
            found[name] = Path(next(iter(spec.submodule_search_locations)))
    return found if top in found else {}


def _name_of(path: Path) -> tuple[str, Path]:
    """A name to import a file by, and the folder above the package that it belongs to.

    Only a file that imports relatively is taken for a part of the package it lies in.
    """
    folder, parts = path.parent, [path.stem]
    if not (folder / "__init__.py").is_file() or not is_relative(_bytes(str(path)) or b""):
        return f"user_method_{path.stem}", folder
    while (folder / "__init__.py").is_file() and folder != folder.parent:
        parts.insert(0, folder.name)
        folder = folder.parent
    return ".".join(parts), folder


def _bytes(path: str) -> bytes | None:
    try:
        return Path(path).read_bytes()
    except OSError:
        return None


def _decoded(file: File) -> str:
    if not file[0].endswith(".py"):
        return hashlib.sha256(file[2]).hexdigest()
    try:
        return decode_source(file[2])
    except (SyntaxError, UnicodeDecodeError):
        return file[2].decode("latin-1")
