"""Names that people give to segments, and the artery each means.

Segmentations carry names beside numbers (3D Slicer, DICOM-SEG, RTSTRUCT, nnU-Net, ITK-SNAP), and
the numbers are whatever order they were drawn in. Where there are names, they decide.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping

from benchmark.calcium import ARTERIES
from benchmark.errors import UserError

LONGEST_NAME = 200
"""Letters of a name that are looked at."""

_NAMES = {
    0: (
        "background", "clear label",
    ),
    1: (
        "lad", "left anterior descending", "anterior descending", "left descending",
        "anterior interventricular", "riva", "lm", "lmca", "lma", "lms", "lmt",
        "left main", "left main stem", "left main trunk", "left main coronary",
        "lm lad", "lad lm", "lad with left main", "lad with lm", "lad and lm", "lad and left main",
        "left main and lad", "lm and lad", "左前降支", "前降支", "左主干",
    ),
    2: (
        "lcx", "cx", "lcfx", "rcx", "circ", "circumflex", "left circumflex", "circumflex coronary",
        "left circumflex coronary", "ramus circumflexus", "左回旋支", "回旋支",
    ),
    3: (
        "rca", "right coronary", "右冠状动脉", "右冠脉",
    ),
}  # fmt: skip
"""Label and names of it as `_plain` writes them. Branches (diagonal, marginal, intermediate) are
not among them: which artery they count to, a study decides. Nor is the left coronary artery, which
to some is the left main and to others all that springs from it."""

_LABELS = {name: label for label, names in _NAMES.items() for name in names}

_NEUTRAL = frozenset(
    ("artery", "arteries", "art", "branch", "calcium", "calcification", "calcifications", "calc",
     "cac", "plaque", "lesion", "lesions", "segment", "segmentation", "mask", "label", "the", "of",
     "proximal", "prox", "mid", "middle", "distal", "dist")
)  # fmt: skip
"""Words that say nothing of which artery it is."""


def label_of(name: str) -> int | None:
    """Return the label that a segment's name stands for.

    Case, spaces, underscores, dashes, dots and accents do not count, nor do words such as artery
    or calcium, nor numbers: ``LAD``, ``lad_calcium_2`` and ``Left Anterior-Descending artery`` are
    one name.

    Parameters
    ----------
    name : str
        As a person wrote it.

    Returns
    -------
    int or None
        1 LAD with the left main, 2 LCX, 3 RCA, 0 background; None for any other name.
    """
    text = _plain(name)
    if text in _LABELS:
        return _LABELS[text]
    words = [w for w in text.split() if w not in _NEUTRAL and not w.isdecimal()]
    return _LABELS.get(" ".join(words))


def labels_of_names(
    names: Iterable[str],
    where: object,
    table: Mapping[str, int] | None = None,
    how: str = "",
) -> dict[str, int]:
    """Return the label of each name of a file.

    Parameters
    ----------
    names : iterable of str
        All names in the file.
    where : path or str
        What the message calls the file.
    table : mapping of str to int, optional
        What the user says of names; it goes before `label_of`. Names are compared as there.
    how : str
        What the user can do about a name that is not known; by default to rename it.

    Raises
    ------
    UserError
        If a name is neither in the table nor known; it names all that were found.
    """
    names = list(dict.fromkeys(names))
    given = {_plain(name): label for name, label in (table or {}).items()}
    found = {name: given.get(_plain(name), label_of(name)) for name in names}
    unknown = [name for name, label in found.items() if label is None]
    if unknown:
        raise UserError(
            f"{where}: {_listed(unknown)} {'is' if len(unknown) == 1 else 'are'} no artery's name"
            f" (segments found: {_listed(names)}); {how or HOW}"
        )
    return found


HOW = "name them LAD, LM, LCX or RCA"
"""What to do about names that are not known, where nothing better can be said."""


def table_of(values: object, where: object) -> dict[str, int]:
    """Return the table of names that a user wrote: ``{"Plaque 1": "LAD"}`` or ``{"Plaque 1": 1}``.

    Raises
    ------
    UserError
        If it is no table, or what stands beside a name is no artery.
    """
    if not isinstance(values, Mapping):
        raise UserError(f"{where}: segments must be a table such as {{Plaque 1: LAD}}")
    table: dict[str, int] = {}
    for name, artery in values.items():
        whole = isinstance(artery, int) and not isinstance(artery, bool)
        label = artery if whole else label_of(str(artery))
        if label not in range(len(ARTERIES) + 1):
            raise UserError(
                f"{where}: segment {_shown(str(name))} cannot be {_shown(str(artery))}; use LAD, "
                "LCX, RCA or background"
            )
        if table.setdefault(str(name), int(label)) != label:
            raise UserError(f"{where}: segment {_shown(str(name))} is named twice")
    return table


def _plain(name: str) -> str:
    """Small letters without accents; anything that is no letter or digit becomes one space."""
    text = unicodedata.normalize("NFKD", name[:LONGEST_NAME]).casefold()
    text = "".join(letter for letter in text if not unicodedata.combining(letter))
    return " ".join(re.sub(r"[\W_]+", " ", text.replace("&", " and ")).split())


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return ", ".join(_shown(name) for name in names[:8]) + more


def _shown(name: str) -> str:
    """A name from a file as it may stand in a message: of one line, and not too long."""
    return repr("".join(c if c.isprintable() else "?" for c in name[:40]))
