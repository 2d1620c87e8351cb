"""Full-size scans read, checked and scored: ``pytest tests/speed -o addopts=""``.

On two cores, two scans a second are one CPU-second a scan. Counted is CPU time, start of the
program included, since a machine does other things as well.
"""

import importlib.util
from pathlib import Path

import pytest

spec = importlib.util.spec_from_file_location("scans", Path(__file__).with_name("scans.py"))
scans = importlib.util.module_from_spec(spec)
spec.loader.exec_module(scans)

SCANS = 12
SHAPE = (57, 512, 512)


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    place = tmp_path_factory.mktemp("full")
    scans.write_apart(place, SCANS, SHAPE)
    return scans.commands(place / "scans", place / "maps", place / "cache", workers=2)


@pytest.mark.parametrize("name", ["data check", "submit --check", "submit --score"])
def test_two_full_size_scans_a_second_on_two_cores(benchmark, words, name):
    cost = benchmark.pedantic(scans.measure, (words[name],), rounds=1, iterations=1)
    benchmark.extra_info["CPU-seconds a scan"] = cost[1] / SCANS
    assert cost[1] / SCANS < 1.0
