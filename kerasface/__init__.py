"""Face classification in Keras 3 on TensorFlow: from a folder of faces to a trained model."""

from kerasface.backend import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    submodules=[
        "callbacks",
        "data",
        "evaluation",
        "faces",
        "inference",
        "models",
        "pipeline",
        "training",
    ],
    submod_attrs={
        "inference": [
            "compare",
            "embed",
            "embedder",
            "evaluate",
            "identify",
            "predict",
            "submit",
            "verify",
        ],
        "models": ["build", "list_models"],
        "training": ["Recipe", "Run", "recommend", "train"],
    },
)
