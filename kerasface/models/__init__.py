"""Models by name: a registry of builders of plain functional Keras models."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=["blocks", "convnext", "heads", "preprocess"],
    submod_attrs={"registry": ["build", "list_models", "model_names"]},
)
