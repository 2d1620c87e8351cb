"""YAML as a person writes it: 1e-4 is a number, as in YAML 1.2; PyYAML alone reads it as text."""

from __future__ import annotations

import re

import yaml

from benchmark.errors import UserError


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


def read_value(text: str, where: str) -> object:
    """One value of the command line.

    Raises
    ------
    UserError
        If it is not YAML; the message begins with ``where``.
    """
    try:
        return yaml.load(text, Loader=Loader)
    except yaml.YAMLError:
        raise UserError(f"{where}: cannot read the value {text!r}") from None
