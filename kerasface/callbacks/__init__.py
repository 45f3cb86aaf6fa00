"""Callbacks for a user's own `fit`: training curves, reports and submissions."""

from kerasface.backend import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
