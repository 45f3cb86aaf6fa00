"""Face classification in Keras 3 on TensorFlow: from a folder of faces to a trained model."""

from kerasface.backend import attach

__version__ = "0.1.0"  # pyproject.toml reads it from here

__getattr__, __dir__, __all__ = attach(__name__, __file__)
