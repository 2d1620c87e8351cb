"""Read a suite's YAML file: by name or by path, with the line of whatever is wrong in it."""

from __future__ import annotations

from pathlib import Path

import yaml

from benchmark.errors import UserError
from benchmark.methods import METHODS
from benchmark.suites.schema import Fault, Suite, build_scale, check, nearest, suite_model

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
        node = yaml.compose(text, Loader=yaml.SafeLoader)
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
        values = yaml.safe_load(text)
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
    scales = {}
    for tier, content in stated.pop("scales").items():
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
    rows = [*stated["methods"], *stated["references"]]
    twice = sorted({row for row in rows if rows.count(row) > 1})
    if twice:
        raise UserError(f"{where}:{lines[('methods',)]}: {twice[0]!r} is named twice")
    for part in ("methods", "references"):
        for index, row in enumerate(stated[part]):
            if ":" not in row and row not in METHODS:
                line = lines.get((part, index), 1)
                raise UserError(f"{where}:{line}: unknown method {row!r}{nearest(row, METHODS)}")
    stated["methods"] = tuple(stated["methods"])
    stated["references"] = tuple(stated["references"])
    return Suite(scales=scales, **stated)


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
