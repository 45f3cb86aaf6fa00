"""A run and images to probabilities, predictions and submissions."""

from kerasface.backend import attach

__getattr__, __dir__, __all__ = attach(__name__, submod_attrs={"prediction": ["predict", "submit"]})
