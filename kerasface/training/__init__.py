"""Trains a recipe on tables and writes a run folder."""

from kerasface.backend import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
