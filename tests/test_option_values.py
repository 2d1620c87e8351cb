"""What an option may be: what JSON gives back as it was."""

from collections import OrderedDict, namedtuple
from datetime import date
from enum import Enum, IntEnum
from pathlib import Path

import numpy as np
import pytest

from benchmark.option_values import holds


class Number(IntEnum):
    ONE = 1


class Word(str, Enum):  # noqa: UP042 as most networks write it
    SUM = "sum"


Pair = namedtuple("Pair", "a b")

GOOD = [
    None, True, 3, -1.5, 1e-300, 2**80, "text", "", [], [1, [2, "x"]], (1, (2, 3)), {"a": {"b": 1}},
    OrderedDict(a=1), np.float64(0.1), np.sqrt(2),
]  # fmt: skip
BAD = [
    Number.ONE, Word.SUM, [Word.SUM], {1, 2}, frozenset("a"), Path("x"), print, int, object(), b"x",
    1j, Pair(1, 2), {1: "a"}, {"a": {2: 3}}, {None: 1}, {"a": {1}}, date(2024, 1, 1),
    float("nan"), float("inf"), [float("nan")], np.float32(1), np.arange(3),
]  # fmt: skip


@pytest.mark.parametrize("value", GOOD, ids=repr)
def test_what_comes_back_as_it_was_is_held(value):
    assert holds(value)


@pytest.mark.parametrize("value", BAD, ids=lambda value: type(value).__name__)
def test_what_would_come_back_as_something_else_is_not(value):
    assert not holds(value)
