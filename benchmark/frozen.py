"""Modules served from memory, so that a process runs the code that its run was planned with.

`freeze` reads this program's own packages once; from then on this process, its forks and the
interpreters that it starts (`starter`) import them from that copy, whatever becomes of the files.
`import_own` does the same for the file of a user's network and what lies beside it, and keeps the
modules of two such files apart even if they bear the same names.

A new interpreter runs this file before any other of the program: it imports nothing but Python's
own library.
"""

from __future__ import annotations

import importlib
import linecache
import pickle
import sys
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import decode_source, find_spec, spec_from_file_location
from pathlib import Path

PACKAGES = ("benchmark", "mmwfanet", "baselines")
"""This program's own packages."""

File = tuple
"""Of a module: its file, whether it is a package, the file's bytes (None for a package without
``__init__.py``, whose "file" is its folder), and when it was last changed (seconds)."""


class _Loader(SourceFileLoader):
    """Gives a module's text from memory; a compiled file is used only if it is of that text."""

    def __init__(self, name: str, file: File, compiled: bool) -> None:
        super().__init__(name, file[0])
        self._file, self._compiled = file, compiled

    def get_data(self, path: str) -> bytes:
        return self._file[2] if path == self.path else super().get_data(path)

    def path_stats(self, path: str) -> dict:
        if not self._compiled:
            raise OSError("compiled anew each time")
        return {"mtime": self._file[3], "size": len(self._file[2])}

    def set_data(self, path: str, data: bytes, **_: object) -> None:
        """Write no compiled file: what lies on the disk may be newer."""


class _Finder:
    """Finds the modules of a copy, before Python looks on the disk."""

    def __init__(self, files: dict[str, File], compiled: bool) -> None:
        self.files, self._compiled = files, compiled

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        file = self.files.get(name)
        if file is None or not (file[2] is None or file[0].endswith(".py")):
            return None
        if file[2] is None:
            spec = ModuleSpec(name, None, is_package=True)
            spec.submodule_search_locations = [file[0]]
            return spec
        inside = [str(Path(file[0]).parent)] if file[1] else None
        loader = _Loader(name, file, self._compiled)
        return spec_from_file_location(
            name, file[0], loader=loader, submodule_search_locations=inside
        )


# This program's own packages

_clone: dict[str, File] = {}


def freeze() -> dict[str, File]:
    """Copy this program's modules, once in a process, and import them from the copy from now on."""
    if not _clone:
        _clone.update(read_packages())
        sys.meta_path.insert(0, _Finder(_clone, compiled=True))
    return _clone


def read_packages() -> dict[str, File]:
    """Every module of `PACKAGES` as it is on the disk, by name."""
    found = {}
    for package in PACKAGES:
        loaded = sys.modules.get(package)
        spec = loaded.__spec__ if loaded else find_spec(package)
        for folder in spec.submodule_search_locations if spec else ():
            for path in sorted(Path(folder).rglob("*.py")):
                parts = (package, *path.relative_to(folder).with_suffix("").parts)
                is_package = parts[-1] == "__init__"
                name = ".".join(parts[:-1] if is_package else parts)
                found.setdefault(name, read_file(path, is_package))
    return found


def read_file(path: Path, is_package: bool = False) -> File:
    """A module's file; see `File`."""
    return str(path), is_package, path.read_bytes(), path.stat().st_mtime


def frozen(name: str) -> bytes | None:
    """The text of one of this program's modules, of the copy if there is one; None if unknown."""
    file = _clone.get(name)
    return None if file is None else file[2]


def starter(copy: Path, then: str) -> str:
    """What ``python -c`` is given to run from a copy of this program.

    Parameters
    ----------
    copy : Path
        File that `write_copy` wrote.
    then : str
        The statements to be run.
    """
    return (
        "import pickle, sys\n"
        f"with open({str(copy)!r}, 'rb') as file: files = pickle.load(file)\n"
        "module = type(sys)('benchmark.frozen')\n"
        "own = files['benchmark.frozen']\n"
        "exec(compile(own[2], own[0], 'exec'), module.__dict__)\n"
        "sys.modules['benchmark.frozen'] = module\n"
        "module.take_over(files)\n"
        f"{then}\n"
    )


def write_copy(path: Path) -> None:
    """Write this process's copy into a file that no other user can write to."""
    path.write_bytes(pickle.dumps(freeze(), protocol=5))


def take_over(files: dict[str, File]) -> None:
    """Import this program's modules from the copy of the process that started this one."""
    _clone.update(files)
    sys.meta_path.insert(0, _Finder(_clone, compiled=True))


# The files of users' networks

_own = _Finder({}, compiled=False)
_active = ""
_folder = ""
_away: dict[str, dict[str, object]] = {}
_displaced: dict[str, object] = {}
_imported: dict[str, None] = {}


def import_own(digest: str, name: str, path: str, files: dict[str, File]):
    """Import a user's module from a copy of its file and of those beside it.

    Parameters
    ----------
    digest : str
        Tells one copy from another; the same copy is imported once.
    name : str
        The module's name, one of `files`.
    path : str
        Its file, for ``sys.argv`` while it is imported: a file that reads the command line is
        not to find this program's.
    files : dict
        By the name under which each is imported.

    Returns
    -------
    module

    Notes
    -----
    What the module raises comes through, `SystemExit` too.
    """
    _make_active(digest, files, str(Path(path).parent))
    module = sys.modules.get(name)
    if module is not None:
        return module
    _imported[digest] = None
    before, sys.argv = sys.argv, [path]
    try:
        return importlib.import_module(name)
    finally:
        sys.argv = before


def imported() -> tuple[str, ...]:
    """Digests of the users' files that were imported in this process."""
    return tuple(_imported)


def _make_active(digest: str, files: dict[str, File], folder: str) -> None:
    """Let one user's modules be found, and put those of another away with their names."""
    global _active, _folder
    if digest == _active:
        return
    if _own not in sys.meta_path:
        sys.meta_path.insert(0, _own)
    if _active:
        _away[_active] = {n: m for n, m in sys.modules.items() if _is_of(n, _own.files)}
        for name in _away[_active]:
            del sys.modules[name]
        sys.modules.update(_displaced)
        _displaced.clear()
    if _folder in sys.path:
        sys.path.remove(_folder)
    _own.files = files
    for file in files.values():
        if file[2] is not None:
            _show_in_tracebacks(file)
    _displaced.update({name: sys.modules.pop(name) for name in files if name in sys.modules})
    sys.modules.update(_away.pop(digest, {}))
    # what it imports by a name made up while it runs is still found beside it
    _folder = "" if folder in sys.path else folder
    sys.path.extend([_folder] if _folder else [])
    _active = digest


def _is_of(name: str, files: dict[str, File]) -> bool:
    """Whether a module is one of a copy, or lies in a package of it."""
    return name in files or any(name.startswith(f"{own}.") for own in files if files[own][1])


def _show_in_tracebacks(file: File) -> None:
    """Let tracebacks quote the text that is run, not what the file holds by then."""
    try:
        lines = decode_source(file[2]).splitlines(keepends=True)
    except (SyntaxError, UnicodeDecodeError):
        return
    linecache.cache[file[0]] = (len(file[2]), None, lines, file[0])
