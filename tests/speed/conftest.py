import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))


def pytest_configure(config):
    """Times are wanted here, though pyproject.toml turns them off for the other tests."""
    config.option.benchmark_disable = False
