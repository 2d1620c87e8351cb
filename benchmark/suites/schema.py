"""What a suite may say, and the check of it. No torch here."""

from __future__ import annotations

import difflib
from dataclasses import MISSING, asdict, dataclass, fields
from functools import cache
from typing import Annotated, Any, Literal, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from benchmark.errors import UserError
from benchmark.methods import EXPECTATIONS, Method
from benchmark.training.settings import HEART, MOST_SEEDS, Settings

SCALES = ("smoke", "quick", "night", "full", "paper")
"""The tiers, from seconds on any machine to the paper's own size."""


@dataclass(frozen=True)
class Scale:
    """A tier of a suite: how many scans, and how every method is trained on them.

    Attributes
    ----------
    name : str
        One of `SCALES`.
    train, test : int
        Numbers of scans; smaller tiers are stratified subsets of larger ones.
    spacing : float or None
        In-plane voxel size in mm that the phantom is made with; None is its own default. A cohort
        of files has the spacing of its files.
    settings : Settings
        The recipe.
    leave_out : tuple of str
        Rows of the suite that this tier has only where ``--methods`` names them.
    """

    name: str
    train: int
    test: int
    spacing: float | None
    settings: Settings
    leave_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class Suite:
    """A suite as its file states it, checked.

    Attributes
    ----------
    name, title : str
    cohort : str
        Name of the cohort, replaced by ``--cohort`` or ``--data``.
    methods : tuple of Method
        The trained methods and ablations, in the order of the leaderboard.
    references : tuple of Method
        Rows that the others are measured by, below a rule: not ranked, trained or not.
    seeds : int
        Number of repetitions, ``--seeds``.
    scales : dict of str to Scale
    paper_table : str or None
        Table of the paper whose figures stand beside ours, "table1" for instance.
    orcascore_folds : int or None
        Folds of a cross-validation whose label maps are joined and scored as orCaScore does; None
        for a single split.
    """

    name: str
    title: str
    cohort: str
    methods: tuple[Method, ...]
    references: tuple[Method, ...]
    seeds: int
    scales: dict[str, Scale]
    paper_table: str | None = None
    orcascore_folds: int | None = None


@dataclass(frozen=True)
class Fault:
    """One thing wrong with a mapping.

    Attributes
    ----------
    path : tuple of str or int
        Keys that lead to the place.
    message : str
        One line without the place.
    """

    path: tuple[str | int, ...]
    message: str


@cache
def scale_model() -> type[BaseModel]:
    """The pydantic model of a tier: its own keys and every field of `Settings`."""
    hints = get_type_hints(Settings)
    recipe = {
        field.name: (hints[field.name], ... if field.default is MISSING else field.default)
        for field in fields(Settings)
    }
    # the default of `Settings` is what recipes meant that do not say it
    recipe["centre"] = (recipe["centre"][0], HEART)
    return create_model(
        "ScaleModel",
        __config__=ConfigDict(extra="forbid"),
        train=(Annotated[int, Field(ge=1)], ...),
        test=(Annotated[int, Field(ge=1)], ...),
        spacing=(Annotated[float, Field(gt=0)] | None, None),
        leave_out=(list[str], []),
        **recipe,
    )


@cache
def ablation_model() -> type[BaseModel]:
    """The pydantic model of a method stated as base and change, or base and grid."""
    return create_model(
        "AblationModel",
        __config__=ConfigDict(extra="forbid"),
        base=(str, ...),
        change=(Annotated[dict[str, Any], Field(min_length=1)] | None, None),
        grid=(
            Annotated[
                dict[str, Annotated[list[Any], Field(min_length=1)]],
                Field(min_length=1, max_length=1),
            ]
            | None,
            None,
        ),
        name=(Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")] | None, None),
        title=(str | None, None),
        expect=(Literal[EXPECTATIONS], ""),
        retrain=(bool, True),
        paper=(str | None, None),
    )


@cache
def suite_model() -> type[BaseModel]:
    """The pydantic model of a whole suite file."""
    name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    scale = scale_model()
    scales = create_model(
        "ScalesModel",
        __config__=ConfigDict(extra="forbid"),
        **{tier: (scale | None, None) for tier in SCALES},
    )
    return create_model(
        "SuiteModel",
        __config__=ConfigDict(extra="forbid"),
        name=(name, ...),
        title=(str, ...),
        cohort=(str, ...),
        methods=(Annotated[list[str | ablation_model()], Field(min_length=1)], ...),
        references=(list[str], []),
        seeds=(Annotated[int, Field(ge=1, le=MOST_SEEDS)], 1),
        scales=(str | scales, ...),
        paper_table=(str | None, None),
        orcascore_folds=(Annotated[int, Field(ge=2)] | None, None),
    )


def scale_keys() -> tuple[str, ...]:
    """Every key that a tier may hold and ``--set`` may change."""
    return tuple(scale_model().model_fields)


def nearest(name: str, choices) -> str:
    """The end of a message on an unknown name: ``"; did you mean 'quick'?"`` or nothing."""
    close = difflib.get_close_matches(str(name), [str(c) for c in choices], n=1, cutoff=0.4)
    return f"; did you mean {close[0]!r}?" if close else ""


def check(model: type[BaseModel], values: object) -> tuple[BaseModel | None, list[Fault]]:
    """Validate plain values.

    Returns
    -------
    (BaseModel or None, list of Fault)
        The checked model, or None and what is wrong.
    """
    try:
        return model.model_validate(values), []
    except ValidationError as error:
        return None, [_fault(model, item) for item in error.errors() if not _other_form(item)]


_FORMS = ("str", "AblationModel", "ScalesModel")
"""Names that pydantic puts into a place where a value may have two forms."""


def _other_form(item: dict) -> bool:
    """Whether this complains that a mapping is not a word, where either may stand."""
    return item["loc"][-1:] == ("str",) and isinstance(item.get("input"), dict)


def _fault(model: type[BaseModel], item: dict) -> Fault:
    path = tuple(part for part in item["loc"] if part not in _FORMS)
    if item["type"] == "extra_forbidden":
        known = _keys_at(model, path[:-1])
        return Fault(path, f"unknown key {path[-1]!r}{nearest(path[-1], known)}")
    if item["type"] == "missing" and isinstance(path[-1], int):
        return Fault(path[:-1], f"{path[-2]}: value {path[-1] + 1} is missing")
    if item["type"] == "missing":
        return Fault(path[:-1], f"the key {path[-1]!r} is missing")
    message = item["msg"][:1].lower() + item["msg"][1:]
    value = item.get("input")
    shown = f", not {value!r}" if isinstance(value, str | int | float | bool | None) else ""
    words = [part for part in path if isinstance(part, str)]
    return Fault(path, f"{words[-1] if words else 'the file'}: {message}{shown}")


def _keys_at(model: type[BaseModel], path: tuple) -> tuple[str, ...]:
    if path[:1] == ("scales",):
        return scale_keys() if len(path) > 1 else SCALES
    if path[:1] == ("methods",) and len(path) > 1:
        return tuple(ablation_model().model_fields)
    return tuple(model.model_fields)


def build_scale(name: str, values: dict) -> Scale:
    """A tier from checked values.

    Raises
    ------
    UserError
        If the recipe contradicts itself (see `Settings`).
    """
    values = dict(values)
    own = {key: values.pop(key) for key in ("train", "test", "spacing")}
    left_out = tuple(values.pop("leave_out"))
    return Scale(name=name, settings=Settings(**values), leave_out=left_out, **own)


def override(scale: Scale, changes: dict[str, object]) -> Scale:
    """The same tier with some values replaced, as ``--set`` and ``--budget`` ask.

    Parameters
    ----------
    scale : Scale
    changes : dict
        New values by key; ``"options.mmwfanet.stem_stride"`` reaches into a mapping.

    Raises
    ------
    UserError
        If a key is unknown (the nearest is named) or a value does not fit.
    """
    values = {
        "train": scale.train,
        "test": scale.test,
        "spacing": scale.spacing,
        "leave_out": list(scale.leave_out),
        **asdict(scale.settings),
    }
    for key, value in changes.items():
        head, *rest = key.split(".")
        if head not in values:
            raise UserError(f"--set {key}: unknown key {head!r}{nearest(head, values)}")
        if not rest:
            values[head] = value
            continue
        if head != "options" or len(rest) != 2:
            raise UserError(f"--set {key}: write options.METHOD.OPTION=value")
        method, option = rest
        options = {name: dict(own) for name, own in (values["options"] or {}).items()}
        options.setdefault(method, {})[option] = value
        values["options"] = options
    model, faults = check(scale_model(), values)
    if faults:
        raise UserError(f"--set {faults[0].message}")
    return build_scale(scale.name, model.model_dump())
