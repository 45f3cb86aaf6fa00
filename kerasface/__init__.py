"""Face classification in Keras 3 on TensorFlow: from a folder of faces to a trained model."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=["callbacks", "data", "evaluation", "inference", "models", "pipeline", "training"],
    submod_attrs={
        "models": ["build", "list_models"],
        "training": ["Recipe", "Run", "train"],
    },
)
