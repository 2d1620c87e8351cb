"""The text of this program's own networks; nothing is imported here."""

from __future__ import annotations

from functools import cache
from importlib.util import decode_source
from pathlib import Path

from benchmark.errors import UserError
from benchmark.frozen import File, freeze, frozen, read_packages
from benchmark.import_statements import statements

PACKAGES = ("mmwfanet", "baselines")
"""Packages whose files are a network's own; the harness and other libraries are hashed apart."""


def own_text(module: str) -> str:
    """The text of one of this program's networks with the files of `PACKAGES` that it imports.

    Parameters
    ----------
    module : str
        ``baselines.unet3d``.

    Raises
    ------
    UserError
        If there is no such module.
    """
    first = _text_of(module)
    if first is None:
        raise UserError(f"this program has no module {module!r}")
    texts = packages_of(first)
    return "\n".join([first, *(texts[name] for name in sorted(texts))])


def own_changes(module: str) -> tuple[str, ...]:
    """Files of one of this program's networks that are no longer as this process runs them."""
    names = [module, *packages_of(_text_of(module) or "")]
    files = freeze()
    return tuple(
        Path(files[name][0]).name
        for name in dict.fromkeys(names)
        if name in files and _now(files[name][0]) != files[name][2]
    )


def _now(path: str) -> bytes | None:
    try:
        return Path(path).read_bytes()
    except OSError:
        return None


def packages_of(text: str) -> dict[str, str]:
    """Texts of the modules of `PACKAGES` that a text imports, directly or not, by name."""
    texts: dict[str, str] = {}
    waiting = statements(text)
    while waiting:
        name = waiting.pop()
        own = None
        if name not in texts and name.partition(".")[0] in PACKAGES:
            own = _text_of(name)
        if own is not None:
            texts[name] = own
            waiting += statements(own)
    return texts


def _text_of(name: str) -> str | None:
    """The text of a module of this program; None if there is none."""
    data = frozen(name)
    if data is None:
        file = _on_disk().get(name)
        data = None if file is None else file[2]
    return None if data is None else decode_source(data)


@cache
def _on_disk() -> dict[str, File]:
    return read_packages()
