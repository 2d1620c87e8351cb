"""Runs of the size of the full tier, written to disk without training."""

import importlib.util
from pathlib import Path

# the writer of the reports' tests; a conftest cannot be imported by name
_spec = importlib.util.spec_from_file_location(
    "written_runs", Path(__file__).parents[1] / "report" / "conftest.py"
)
_written = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_written)
write_run = _written.write_run
