"""Read a suite's YAML file: by name or by path, with the line of whatever is wrong in it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from benchmark.errors import UserError
from benchmark.methods import METHODS, Method, ablation, find, written
from benchmark.names import own_class, split_base
from benchmark.plugins import installed
from benchmark.suites.schema import Scale, Suite, build_scale, check, nearest, suite_model
from benchmark.yaml_lines import line_of, read_with_lines

FOLDER = Path(__file__).parent

LARGEST_FILE = 1 << 20
"""Bytes of a suite's file."""


def suite_names() -> tuple[str, ...]:
    """Names of the suites that come with the package."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))


def load_suite(name: str) -> Suite:
    """The suite of that name, or the one in a YAML file of the user's.

    Parameters
    ----------
    name : str
        "table1", or a path that ends in .yaml or .yml.

    Raises
    ------
    UserError
        If there is no such suite (the nearest is named), or the file is broken: then the message
        gives the file and the line.
    """
    if name.endswith((".yaml", ".yml")):
        path = Path(name)
        if not path.is_file():
            raise UserError(f"no such file: {path}")
        if path.stat().st_size > LARGEST_FILE:
            raise UserError(f"{path}: is larger than {LARGEST_FILE >> 20} MB; is it a suite?")
    else:
        path = FOLDER / f"{name}.yaml"
        if name not in suite_names():
            known = suite_names()
            raise UserError(
                f"unknown suite {name!r}{nearest(name, known)} (there are: {', '.join(known)}; "
                "a file of your own must end in .yaml)"
            )
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UserError(f"{path}: not a text file in UTF-8") from None
    return parse_suite(text, str(path))


def parse_suite(text: str, where: str) -> Suite:
    """Check the text of a suite file.

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
    if not isinstance(values, dict):
        raise UserError(f"{where}:1: a suite is a mapping with name, title, methods and scales")
    model, faults = check(suite_model(), values)
    if faults:
        # A key misspelt is missing as well: say that it is unknown, with the nearest name.
        unknown = [fault for fault in faults if fault.message.startswith("unknown")]
        first = min(unknown or faults, key=lambda fault: line_of(fault.path, lines))
        raise UserError(f"{where}:{line_of(first.path, lines)}: {first.message}")
    stated = model.model_dump()
    stated["scales"] = _scales(stated["scales"], lines, where)
    stated["methods"] = _methods(stated["methods"], lines, where)
    stated["references"] = tuple(
        replace(
            _known(name, METHODS, f"{where}:{lines.get(('references', index), 1)}"),
            reference=True,
        )
        for index, name in enumerate(stated["references"])
    )
    names = [row.name for row in (*stated["methods"], *stated["references"])]
    if isinstance(values["scales"], dict):  # a borrowed tier may leave out rows of its own suite
        for tier, scale in stated["scales"].items():
            for index, name in enumerate(scale.leave_out):
                if name not in names:
                    line = line_of(("scales", tier, "leave_out", index), lines)
                    raise UserError(
                        f"{where}:{line}: scale {tier} leaves out {name!r}, which is no row of "
                        f"this suite{nearest(name, names)}"
                    )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(f"{where}:{lines[('methods',)]}: {twice[0]!r} is named twice")
    return Suite(**stated)


def _scales(stated: str | dict, lines: dict[tuple, int], where: str) -> dict[str, Scale]:
    """The tiers, or those of another suite where its name is given: one recipe for both."""
    if isinstance(stated, str):
        if stated not in suite_names() or f"{stated}.yaml" == Path(where).name:
            line = lines.get(("scales",), 1)
            raise UserError(
                f"{where}:{line}: scales: give tiers, or the name of another suite to take its "
                f"tiers from, not {stated!r}{nearest(stated, suite_names())}"
            )
        return load_suite(stated).scales
    scales = {}
    for tier, content in stated.items():
        if content is None:
            continue
        try:
            scales[tier] = build_scale(tier, content)
        except UserError as error:
            place = ("scales", tier)
            named = [key for key in content if key in str(error) and (*place, key) in lines]
            line = lines[(*place, named[0])] if named else lines.get(place, 1)
            raise UserError(f"{where}:{line}: scale {tier}: {error}") from None
    if not scales:
        raise UserError(f"{where}:{lines.get(('scales',), 1)}: the suite has no scale")
    return scales


def _methods(stated: list[str | dict], lines: dict[tuple, int], where: str) -> tuple[Method, ...]:
    """Names, ablations and grids as methods, a grid as one method for each value."""
    found: dict[str, Method] = {}
    rows: list[Method] = []
    for index, item in enumerate(stated):
        place = f"{where}:{lines.get(('methods', index), 1)}"
        if isinstance(item, str):
            made = [_known(item, METHODS, place)]
        else:
            made = _ablations(item, found, place)
        rows += made
        found |= {method.name: method for method in made}
    return tuple(rows)


def _known(name: str, known: dict[str, Method], place: str) -> Method:
    """A method by name; one of the user's own is only looked up when it is run."""
    if name in known:
        return known[name]
    plain, _ = split_base(name, {*known, *METHODS, *installed()})
    if own_class(plain) is None and plain not in METHODS and plain not in installed():
        choices = dict.fromkeys((*known, *METHODS))
        raise UserError(f"{place}: unknown method {plain!r}{nearest(plain, choices)}")
    try:
        return find(name)
    except UserError as error:
        raise UserError(f"{place}: {error}") from None


def _ablations(item: dict, found: dict[str, Method], place: str) -> list[Method]:
    if (item["change"] is None) == (item["grid"] is None):
        raise UserError(
            f"{place}: an ablation has a base and either a change, {{fusion: sum}}, or a grid, "
            "{lambda_inter: [0, 1e-3]}"
        )
    base = _known(item["base"], {**METHODS, **found}, place)
    shared = {key: item[key] for key in ("expect", "retrain", "paper")}
    if item["change"] is not None:
        words = "+".join(f"{option}={written(value)}" for option, value in item["change"].items())
        name = item["name"] or f"{base.name}+{words}"
        return [ablation(base, item["change"], name, item["title"], **shared)]
    if item["name"] or item["title"]:
        raise UserError(f"{place}: a grid makes several methods: leave out name and title")
    ((option, values),) = item["grid"].items()
    return [
        ablation(base, {option: value}, f"{base.name}+{option}={written(value)}", **shared)
        for value in values
    ]
