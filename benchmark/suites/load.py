"""Read a suite's YAML file: by name or by path, with the line of whatever is wrong in it."""

from __future__ import annotations

from pathlib import Path

import yaml

from benchmark.errors import UserError
from benchmark.methods import METHODS, Method, ablation, find, written
from benchmark.suites.schema import Fault, Scale, Suite, build_scale, check, nearest, suite_model
from benchmark.yaml_values import Loader

FOLDER = Path(__file__).parent


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
    try:
        node = yaml.compose(text, Loader=Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        begin = error.context_mark
        opened = f" ({error.context} of line {begin.line + 1})" if begin and error.context else ""
        raise UserError(f"{where}:{line}: broken YAML: {error.problem}{opened}") from None
    except yaml.YAMLError as error:
        raise UserError(f"{where}: broken YAML: {' '.join(str(error).split())}") from None
    lines: dict[tuple, int] = {}
    if node is not None:
        _collect_lines(node, (), lines, where)
    try:
        values = yaml.load(text, Loader=Loader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UserError(f"{where}:{line}: {error.problem or error.context}") from None
    if not isinstance(values, dict):
        raise UserError(f"{where}:1: a suite is a mapping with name, title, methods and scales")
    model, faults = check(suite_model(), values)
    if faults:
        # A key misspelt is missing as well: say that it is unknown, with the nearest name.
        first = min(faults, key=lambda f: (not f.message.startswith("unknown"), _line(f, lines)))
        raise UserError(f"{where}:{_line(first, lines)}: {first.message}")
    stated = model.model_dump()
    stated["scales"] = _scales(stated["scales"], lines, where)
    stated["methods"] = _methods(stated["methods"], lines, where)
    stated["references"] = tuple(
        _known(name, METHODS, f"{where}:{lines.get(('references', index), 1)}")
        for index, name in enumerate(stated["references"])
    )
    names = [row.name for row in (*stated["methods"], *stated["references"])]
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
    plain = name.partition("+")[0]
    if ":" not in name and plain not in METHODS:
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


def _collect_lines(node: yaml.Node, path: tuple, lines: dict[tuple, int], where: str) -> None:
    """Note the line of every key and item; a key given twice is an error, not a silent choice."""
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise UserError(f"{where}:{key.start_mark.line + 1}: a key must be a plain word")
            if key.value in seen:
                line = key.start_mark.line + 1
                raise UserError(f"{where}:{line}: the key {key.value!r} is given twice")
            seen.add(key.value)
            lines[(*path, key.value)] = key.start_mark.line + 1
            _collect_lines(value, (*path, key.value), lines, where)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            lines[(*path, index)] = value.start_mark.line + 1
            _collect_lines(value, (*path, index), lines, where)


def _line(fault: Fault, lines: dict[tuple, int]) -> int:
    """Line of the place, or of the innermost place around it that the file has."""
    path = fault.path
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)
