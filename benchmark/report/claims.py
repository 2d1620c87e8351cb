"""The paper's comparative sentences as tests: what a claims file may say, and the check of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from benchmark.errors import UserError
from benchmark.methods import find
from benchmark.metrics.consistency import AGREEMENT, INSIDE
from benchmark.report.board import LOWER_IS_BETTER, METRICS, TARGETS, Column
from benchmark.suites.schema import check, nearest
from benchmark.yaml_lines import Lines, line_of, read_with_lines

LARGEST_FILE = 1 << 20
"""Bytes of a file of claims."""

PLACES = (
    Path(__file__).parents[2] / "results" / "paper" / "claims.yaml",
    Path(__file__).with_name("claims.yaml"),
)
"""In a source tree, and in an installed package."""

KINDS = {
    "above": "the first row's figure is better than the second's",
    "gain": "the first row's gain over the second is larger in one target than in another",
    "best": "the first row's figure is better than that of every other",
    "level": "the row's figure is at least so much",
    "about": "the row's figure is about so much, within a margin",
}
"""What a claim may state."""

SOURCES = ("mask", "head", "both")
OWN_METRICS = tuple(
    f"{figure}_{score}" for figure in (AGREEMENT, INSIDE) for score in ("AS", "VS", "MS")
)
"""Figures that no leaderboard has: ICC of head and mask, share inside the limits of agreement."""

_NEEDED = {
    "above": (2, 2, ()),
    "gain": (2, 2, ("than",)),
    "best": (2, None, ()),
    "level": (1, 1, ("at_least",)),
    "about": (1, 1, ("about", "within")),
}
"""Fewest and most rows, and the keys that only this kind has."""


@dataclass(frozen=True)
class Side:
    """A row of a leaderboard, from one source.

    Attributes
    ----------
    method : str
        As on the command line.
    source : str
        One of `SOURCES`; "both" for figures that compare head and mask.
    """

    method: str
    source: str

    def __str__(self) -> str:
        return f"{self.method} ({self.source})"


@dataclass(frozen=True)
class Claim:
    """One sentence of the paper as a test.

    Attributes
    ----------
    name : str
    section : str
        Of the paper.
    says : str
        In our words.
    kind : str
        One of `KINDS`.
    column : Column
        Metric and target.
    rows : tuple of Side
        The first is the one that the paper calls better.
    table : str or None
        Of the paper, where its own figures stand.
    than : str or None
        Target whose gain is said to be smaller ("gain").
    value, within : float or None
        Threshold ("level"), or value and margin ("about").
    paper : tuple of (str, str)
        Methods without a name of their own in the paper's table, and the name they have there.
    """

    name: str
    section: str
    says: str
    kind: str
    column: Column
    rows: tuple[Side, ...]
    table: str | None = None
    than: str | None = None
    value: float | None = None
    within: float | None = None
    paper: tuple[tuple[str, str], ...] = ()

    @property
    def sign(self) -> int:
        """-1 where less is better."""
        return -1 if self.column[0] in LOWER_IS_BETTER else 1


@dataclass(frozen=True)
class LeftOut:
    """A sentence that no run of this benchmark can judge.

    Attributes
    ----------
    section, says, because : str
    """

    section: str
    says: str
    because: str


@dataclass(frozen=True)
class Claims:
    """A whole file.

    Attributes
    ----------
    claims : tuple of Claim
    left_out : tuple of LeftOut
    """

    claims: tuple[Claim, ...]
    left_out: tuple[LeftOut, ...] = ()


_Text = Annotated[str, Field(min_length=1)]


class ClaimModel(BaseModel):
    """One item of ``claims``."""

    model_config = ConfigDict(extra="forbid")
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    section: _Text
    says: _Text
    kind: Literal[tuple(KINDS)]
    metric: _Text
    rows: Annotated[list[str], Field(min_length=1)]
    table: Literal["table1", "table2", "table3", "text"] | None = None
    than: Literal[TARGETS] | None = None
    at_least: float | None = None
    about: float | None = None
    within: Annotated[float, Field(gt=0)] | None = None
    paper: dict[str, str] = {}


class LeftOutModel(BaseModel):
    """One item of ``left_out``."""

    model_config = ConfigDict(extra="forbid")
    section: _Text
    says: _Text
    because: _Text


def paper_claims() -> Claims:
    """The claims of the paper.

    Raises
    ------
    UserError
        If the file is not there, or broken.
    """
    path = next((place for place in PLACES if place.is_file()), None)
    if path is None:
        raise UserError(f"{PLACES[0]}: not there; name a file of claims with --claims")
    return load_claims(path)


@cache
def load_claims(path: Path) -> Claims:
    """A file of claims.

    Raises
    ------
    UserError
        With ``file:line`` of the first fault.
    """
    try:
        if Path(path).stat().st_size > LARGEST_FILE:
            raise UserError(f"{path}: is larger than {LARGEST_FILE >> 20} MB; are these claims?")
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"no such file: {path}") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: not a text file in UTF-8") from None
    return parse_claims(text, str(path))


def parse_claims(text: str, where: str) -> Claims:
    """Check the text of a claims file.

    Parameters
    ----------
    text : str
    where : str
        The file's name for messages.

    Raises
    ------
    UserError
        With ``file:line`` of the first fault.
    """
    values, lines = read_with_lines(text, where)
    if not isinstance(values, dict) or not isinstance(values.get("claims"), list):
        raise UserError(f"{where}:1: a file of claims is a mapping with a list 'claims'")
    for key in values:
        if key not in ("claims", "left_out"):
            line = line_of((key,), lines)
            hint = nearest(str(key), ("claims", "left_out"))
            raise UserError(f"{where}:{line}: unknown key {key!r}{hint}")
    claims: dict[str, Claim] = {}
    for index, item in enumerate(values["claims"]):
        claim = _claim(item, ("claims", index), lines, where)
        if claim.name in claims:
            line = lines["claims", index, "name"]
            raise UserError(f"{where}:{line}: two claims are called {claim.name!r}")
        claims[claim.name] = claim
    left_out = [
        LeftOut(**_checked(LeftOutModel, item, ("left_out", index), lines, where).model_dump())
        for index, item in enumerate(values.get("left_out") or ())
    ]
    return Claims(tuple(claims.values()), tuple(left_out))


def _checked(model: type[BaseModel], item: object, place: tuple, lines: Lines, where: str):
    if not isinstance(item, dict):
        raise UserError(f"{where}:{line_of(place, lines)}: each item is a mapping, not {item!r}")
    checked, faults = check(model, item)
    if faults:
        # A key misspelt is missing as well: say that it is unknown, with the nearest name.
        unknown = [fault for fault in faults if fault.message.startswith("unknown")]
        first = min(unknown or faults, key=lambda fault: line_of((*place, *fault.path), lines))
        line = line_of((*place, *first.path), lines)
        raise UserError(f"{where}:{line}: {first.message}")
    return checked


def _claim(item: object, place: tuple, lines: Lines, where: str) -> Claim:
    stated = _checked(ClaimModel, item, place, lines, where)

    def wrong(key: str, message: str, *deeper: int) -> UserError:
        line = line_of((*place, key, *deeper), lines)
        return UserError(f"{where}:{line}: claim {stated.name}: {message}")

    fewest, most, own = _NEEDED[stated.kind]
    for key in ("than", "at_least", "about", "within"):
        if (getattr(stated, key) is not None) != (key in own):
            verb = "needs" if key in own else "has no"
            raise wrong(key, f"kind {stated.kind!r} {verb} {key!r}")
    if not fewest <= len(stated.rows) <= (most or len(stated.rows)):
        count = f"{fewest} row{'s' if fewest > 1 else ''}" + ("" if most else " or more")
        raise wrong("rows", f"kind {stated.kind!r} takes {count}, not {len(stated.rows)}")
    try:
        column = _column(stated.metric)
    except ValueError as error:
        raise wrong("metric", str(error)) from None
    rows = []
    for index, text in enumerate(stated.rows):
        try:
            rows.append(_side(text, column[0]))
        except (ValueError, UserError) as error:
            raise wrong("rows", str(error), index) from None
    if len(set(rows)) < len(rows):
        raise wrong("rows", "a row is named twice")
    for method in stated.paper:
        if method not in [row.method for row in rows]:
            raise wrong("paper", f"{method!r} is not one of the rows")
    return Claim(
        name=stated.name,
        section=stated.section,
        says=stated.says,
        kind=stated.kind,
        column=column,
        rows=tuple(rows),
        table=stated.table,
        than=stated.than,
        value=stated.at_least if stated.kind == "level" else stated.about,
        within=stated.within,
        paper=tuple(stated.paper.items()),
    )


def _column(text: str) -> Column:
    """``"F1 whole"`` as metric and target, or ValueError."""
    metric, _, target = text.partition(" ")
    known = (*METRICS, *OWN_METRICS)
    if metric not in known:
        raise ValueError(f"unknown metric {metric!r}{nearest(metric, known)}")
    alone = {"ICC": ("mean",), "PCC": ("mean",), "kappa": ("whole",), "F1": (*TARGETS, "mean")}
    targets = alone.get(metric, TARGETS)
    if target not in targets:
        raise ValueError(f"metric {metric} is of {', '.join(targets)}, not {target!r}")
    return metric, target


def _side(text: str, metric: str) -> Side:
    """``"mvl (mask)"`` as a row, or ValueError."""
    found = re.fullmatch(r"(\S+) \((\w+)\)", text)
    if not found:
        raise ValueError(f"write a row as 'METHOD (SOURCE)', 'mvl (mask)', not {text!r}")
    method, source = found.groups()
    if metric.startswith(AGREEMENT):
        allowed = ("both",)
    elif metric in ("F1", "sensitivity", "PPV"):
        allowed = ("mask",)
    else:
        allowed = ("mask", "head")
    if source not in allowed:
        raise ValueError(f"{metric} comes from {' or '.join(allowed)}, not {source!r}")
    outputs = find(method).outputs
    if outputs and source != "both" and source not in outputs:
        raise ValueError(f"{method} gives no {source}, only {' and '.join(outputs)}")
    return Side(method, source)
