"""Times are measured here; and runs of the size of the full tier, written without training."""

import importlib.util
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

# the writer of the reports' tests; a conftest cannot be imported by name
_spec = importlib.util.spec_from_file_location(
    "written_runs", Path(__file__).parents[1] / "report" / "conftest.py"
)
_written = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_written)
write_run = _written.write_run


def pytest_configure(config):
    """Times are wanted here, though pyproject.toml turns them off for the other tests."""
    config.option.benchmark_disable = False
