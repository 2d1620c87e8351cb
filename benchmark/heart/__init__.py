"""Where the heart lies in a scan, found from its voxels alone: no training, no labels."""

from benchmark.heart.finder import FOUND, Heart, find_heart

__all__ = ["FOUND", "Heart", "find_heart"]
