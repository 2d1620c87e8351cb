"""The contract, run over every trained method of the registry: a new method is tested by its
entry. The checks are those of ``benchmark check-method``."""

import pytest

from benchmark.method_check import CHECKS, subject_of
from benchmark.methods import METHODS

NAMES = [name for name, method in METHODS.items() if method.trained and not method.external]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
@pytest.mark.parametrize("name", NAMES)
def test_contract(name, check):
    # a Fault says what is wrong
    check(subject_of(METHODS[name]))
