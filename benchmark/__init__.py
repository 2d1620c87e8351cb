"""Fair runs and honest figures for artery-specific coronary calcium scoring."""

__version__ = "0.1.0"
