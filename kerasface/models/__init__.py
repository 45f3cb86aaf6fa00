"""Models by name: a registry of builders of plain functional Keras models."""

from kerasface.backend import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
