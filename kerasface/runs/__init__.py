"""Run folders: the recipe, the record of the images, the evaluation and the report."""

from kerasface.backend import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
