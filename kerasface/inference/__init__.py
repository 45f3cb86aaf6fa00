"""A run and images to probabilities, predictions, submissions and figures."""

from kerasface.backend import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    submod_attrs={"evaluation": ["compare", "evaluate"], "prediction": ["predict", "submit"]},
)
