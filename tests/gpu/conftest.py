import sys
from pathlib import Path

# the small scans of the training tests
sys.path.insert(0, str(Path(__file__).parents[1] / "training"))
