"""YAML with the line of every key and item, for messages that say where a file is wrong."""

from __future__ import annotations

import yaml

from benchmark.errors import UserError
from benchmark.yaml_values import compose, construct

Lines = dict[tuple, int]
"""Line, from 1, by the path of keys and indices that leads to a place."""


def read_with_lines(text: str, where: str) -> tuple[object, Lines]:
    """Plain values of a YAML text, and the lines of their places.

    Parameters
    ----------
    text : str
    where : str
        The file's name for messages.

    Raises
    ------
    UserError
        With ``file:line`` where the text is not YAML, or a key is given twice.
    """
    node, loader = compose(text, where)
    lines: Lines = {}
    if node is not None:
        _collect(node, (), lines, where)
    return construct(node, loader, where), lines


def line_of(path: tuple, lines: Lines) -> int:
    """Line of the place, or of the innermost place around it that the file has."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


def _collect(node: yaml.Node, path: tuple, lines: Lines, where: str) -> None:
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
            _collect(value, (*path, key.value), lines, where)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            lines[(*path, index)] = value.start_mark.line + 1
            _collect(value, (*path, index), lines, where)
