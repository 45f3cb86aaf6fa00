"""Embedding training: margin losses, class centers, triplets and the model that trains them."""

from kerasface.backend import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
