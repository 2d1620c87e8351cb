"""The text of a network's own files, found by following its imports. No torch here."""

from __future__ import annotations

import ast
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("mmwfanet", "baselines")
"""Packages whose files are a network's own; the harness and other libraries are hashed apart."""


def own_sources(path: str | Path) -> str:
    """A network's file and every file of `PACKAGES` that it imports, directly or not.

    Parameters
    ----------
    path : path-like
        The file that defines the network's class.

    Returns
    -------
    str
        Their texts, the file itself first, then by module name.
    """
    first = Path(path).read_text(encoding="utf-8")
    texts: dict[str, str] = {}
    waiting = list(_imported(first))
    while waiting:
        name = waiting.pop()
        if name in texts:
            continue
        file = _file(name)
        if file is None:
            continue
        texts[name] = file.read_text(encoding="utf-8")
        waiting += _imported(texts[name])
    return "\n".join([first, *(texts[name] for name in sorted(texts))])


def _imported(text: str) -> set[str]:
    """Modules of `PACKAGES` named in import statements; the parents of each are run as well."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            # ``from mmwfanet import heads`` may name a module
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        found.update(name for name in names if name.partition(".")[0] in PACKAGES)
    return found


def _file(name: str) -> Path | None:
    try:
        spec = find_spec(name)
    except ModuleNotFoundError:
        return None
    if spec is None or not spec.origin:
        return None
    path = Path(spec.origin)
    return path if path.suffix == ".py" else None
