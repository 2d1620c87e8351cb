"""A trained network at work: labels and scores of scans, and anyone's labels on the leaderboard.

Everything but `load_predictor` itself works without torch.
"""

from benchmark.prediction.predictor import Prediction, Predictor, load_predictor

__all__ = ["Prediction", "Predictor", "load_predictor"]
