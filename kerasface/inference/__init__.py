"""A run or model and images: predictions, submissions, embeddings and decisions."""

from kerasface.backend import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
