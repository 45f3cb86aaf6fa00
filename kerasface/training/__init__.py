"""A recipe and tables to a run folder."""

from kerasface.backend import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    submod_attrs={
        "centers": ["ClassCenters", "SampledCenters"],
        "embedding": ["EmbeddingTraining"],
        "fit": ["train"],
        "margins": ["AdaFace", "ArcFace", "CosFace", "NormFace"],
        "muon": ["Muon"],
        "recipe": ["Recipe"],
        "recipes": ["RECIPES", "named_recipe"],
        "recommendation": ["Recommendation", "recommend"],
        "run": ["Run"],
        "triplets": ["SemiHardTriplets"],
    },
)
