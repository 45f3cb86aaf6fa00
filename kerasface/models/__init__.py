"""Models by name: a registry of builders of plain functional Keras models."""

from kerasface.backend import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    submodules=[
        "applications",
        "blocks",
        "convnext",
        "heads",
        "preprocess",
        "resnet",
        "weights",
    ],
    submod_attrs={
        "registry": ["build", "freeze_backbone", "list_models", "model_names", "unfreeze_backbone"]
    },
)
