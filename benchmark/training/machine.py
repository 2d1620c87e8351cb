"""Where and with what a run was made, for its ledger."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from benchmark.commit import git_commit


def machine(device: torch.device, threads: int) -> dict:
    """Where and with what a run was made."""
    name = platform.processor() or platform.machine()
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    else:
        try:
            for line in Path("/proc/cpuinfo").read_text().splitlines():
                if line.startswith("model name"):
                    name = line.partition(":")[2].strip()
                    break
        except OSError:
            pass
    return {
        "device": device.type,
        "device_name": name,
        "threads": threads,
        "platform": platform.platform(terse=True),
        "python": platform.python_version(),
        "versions": {
            p: _version(p) for p in ("torch", "numpy", "scipy", "connected-components-3d")
        },
        "git_commit": git_commit(),
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
