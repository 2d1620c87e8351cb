"""Cores of a container: what its control groups allow, from files as the kernel writes them."""

import math
import os

import pytest

from benchmark import cores


def tree(folder, groups, **files):
    (folder / "cgroup").write_text(groups)
    for name, text in files.items():
        path = folder / "fs" / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder / "cgroup", folder / "fs"


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        ("0::/\n", {"cpu_dot_max": "200000 100000\n"}, 2.0),
        ("0::/\n", {"cpu_dot_max": "max 100000\n"}, math.inf),
        (
            "0::/a/b\n",
            {"a__cpu_dot_max": "150000 100000\n", "a__b__cpu_dot_max": "max 100000"},
            1.5,
        ),
        ("0::/../outside\n", {"cpu_dot_max": "50000 100000\n"}, 0.5),
        ("0::/\n", {"cpu_dot_max": "0 0\n"}, math.inf),
        ("0::/\n", {"cpu_dot_max": "nonsense"}, math.inf),
        (
            "5:memory:/x\n4:cpu,cpuacct:/docker/abc\n",
            {
                "cpu,cpuacct__cpu.cfs_quota_us": "300000\n",
                "cpu,cpuacct__cpu.cfs_period_us": "100000\n",
            },
            3.0,
        ),
        (
            "4:cpu:/\n",
            {"cpu__cpu.cfs_quota_us": "-1\n", "cpu__cpu.cfs_period_us": "100000\n"},
            math.inf,
        ),
    ],
)
def test_quota(tmp_path, groups, files, expected):
    assert cores.quota(*tree(tmp_path, groups, **files)) == expected


def test_without_control_groups_nothing_is_limited(tmp_path):
    assert cores.quota(tmp_path / "none", tmp_path) == math.inf


def test_cores_are_the_least_of_both_and_at_least_one(monkeypatch):
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    for share, expected in ((0.2, 1), (math.inf, bound), (bound + 5.0, bound)):
        monkeypatch.setattr(cores, "quota", lambda share=share: share)
        assert cores.usable_cores() == expected
    if bound > 1:
        monkeypatch.setattr(cores, "quota", lambda: bound - 0.5)
        assert cores.usable_cores() == bound
