"""The commands of use.md, hidden.md and cluster.md: names and options are those of the program."""

import re
import shlex
from pathlib import Path

import pytest

from benchmark.cli import cli

DOCS = Path(__file__).parents[2] / "docs"
NAMES = ("use.md", "hidden.md", "cluster.md")
TEXT = "".join((DOCS / name).read_text(encoding="utf-8") for name in NAMES)
TEXT = TEXT.replace("\\\n", " ")  # a command on two lines
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
COMMANDS = [
    line
    for language, block in BLOCKS
    for line in block.splitlines()
    if not language and line.startswith("benchmark ")
]


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_of_the_document_is_understood(line):
    _, name, *arguments = shlex.split(line)
    command = cli.commands[name]
    if arguments[0] in getattr(command, "commands", ()):
        command = command.commands[arguments.pop(0)]
    # raises a UsageError for what the command does not know
    command.make_context(name, arguments)


def test_there_are_commands():
    assert len(COMMANDS) >= 7
