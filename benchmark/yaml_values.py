"""YAML as a person writes it: 1e-4 is a number, as in YAML 1.2; PyYAML alone reads it as text."""

from __future__ import annotations

import re

import yaml

from benchmark.errors import UserError

LARGEST_TEXT = 128 << 10
"""Characters of a YAML text; lists of some ten thousand ids."""

MOST_VALUES = 100_000
"""Values of a text, each counted as often as aliases (``*name``) repeat it."""


class Loader(yaml.SafeLoader):
    """`yaml.SafeLoader` that also reads 1e-4 and 2E5 as numbers."""


Loader.yaml_implicit_resolvers = {
    first: list(rules) for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?[0-9]+(?:\.[0-9]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def compose(text: str, where: str) -> tuple[yaml.Node | None, Loader]:
    """Parse a YAML text into nodes, which know their lines.

    Returns
    -------
    yaml.Node or None
        None for an empty text.
    Loader
        Makes plain values of it: ``loader.construct_document(node)``.

    Raises
    ------
    UserError
        With ``file:line`` if the text is not YAML; if it is too long, nested too deeply, or its
        aliases make it larger than any file is meant to be.
    """
    if len(text) > LARGEST_TEXT:
        raise UserError(f"{where}: is longer than {LARGEST_TEXT >> 10} KB")
    try:
        loader = Loader(text)
        node = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        begin = error.context_mark
        opened = f" ({error.context} of line {begin.line + 1})" if begin and error.context else ""
        raise UserError(f"{where}:{line}: broken YAML: {error.problem}{opened}") from None
    except yaml.YAMLError as error:
        raise UserError(f"{where}: broken YAML: {' '.join(str(error).split())}") from None
    except (RecursionError, ValueError, OverflowError):
        raise UserError(f"{where}: broken YAML: nested too deeply, or an unknown escape") from None
    if node is not None:
        _count(node, {}, where)
    return node, loader


def construct(node: yaml.Node | None, loader: Loader, where: str) -> object:
    """Make plain values of what `compose` gave.

    Raises
    ------
    UserError
        With ``file:line`` if a value is none, as a date with a thirteenth month.
    """
    try:
        return None if node is None else loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        what = error.problem or error.context
        raise UserError(f"{where}:{line}: broken YAML: {what}") from None
    except (ValueError, TypeError, KeyError, IndexError, OverflowError, RecursionError) as error:
        reason = " ".join(str(error).split())[:80]
        raise UserError(f"{where}: a value is none of YAML ({reason}); put it in quotes") from None


def read_value(text: str, where: str) -> object:
    """One value of the command line.

    Raises
    ------
    UserError
        If it is not YAML; the message begins with ``where``.
    """
    try:
        return construct(*compose(text, where), where)
    except UserError:
        raise UserError(f"{where}: cannot read the value {text[:80]!r}") from None


def _count(node: yaml.Node, sizes: dict[int, int | None], where: str) -> int:
    """Return the number of values below a node, those behind an alias each time anew."""
    known = sizes.get(id(node), 0)
    if known is None:
        line = node.start_mark.line + 1
        raise UserError(f"{where}:{line}: broken YAML: the value holds itself")
    if known:
        return known
    sizes[id(node)] = None
    total = 1
    if isinstance(node, yaml.MappingNode):
        below = [part for pair in node.value for part in pair]
    else:
        below = node.value if isinstance(node, yaml.SequenceNode) else []
    for part in below:
        total += _count(part, sizes, where)
        if total > MOST_VALUES:
            line = node.start_mark.line + 1
            raise UserError(f"{where}:{line}: broken YAML: more than {MOST_VALUES} values")
    sizes[id(node)] = total
    return total
