"""A run and images to probabilities, predictions, submissions and figures."""

from kerasface.backend import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    submod_attrs={
        "competition": ["Matches", "submit_matches"],
        "embedding": ["embed", "embedder"],
        "embedders": ["discriminant_embedder", "joined_embedder"],
        "evaluation": ["compare", "evaluate"],
        "identification": [
            "Gallery",
            "Identified",
            "enrol",
            "identify",
            "load_gallery",
            "nearest_people",
        ],
        "operating_point": ["OperatingPoint", "read_operating_point"],
        "prediction": ["predict", "submit"],
        "verification": ["Decision", "Verified", "verify", "verify_pairs"],
    },
)
