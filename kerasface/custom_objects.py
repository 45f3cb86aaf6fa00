"""Registers kerasface's custom Keras objects, so that `keras.saving.load_model` finds them.

Import this module before you load a model that was saved with a custom optimizer, loss, metric or
layer of kerasface, or a whole `kerasface.embedding.EmbeddingTraining`::

    import keras
    import kerasface.custom_objects

    model = keras.saving.load_model("checkpoint.keras")

``import kerasface`` alone is not enough. It does not import Keras, and Keras only finds classes
whose modules have been imported. Importing one class, for instance ``from kerasface.training import
Muon``, registers that class and what it consists of.

The ``model.keras`` of a run folder and the models of `kerasface.build` consist of stock Keras
layers. They load without this module and without kerasface.
"""

from kerasface.embedding import (
    AdaFace,
    ArcFace,
    ClassCenters,
    CosFace,
    EmbeddingTraining,
    Margin,
    NormFace,
    SampledCenters,
    SemiHardTriplets,
)
from kerasface.training import AttributeAccuracy, AttributeLoss, ClassLoss, Muon
from kerasface.training.features import HeadTraining

__all__ = [
    "AdaFace",
    "ArcFace",
    "AttributeAccuracy",
    "AttributeLoss",
    "ClassCenters",
    "ClassLoss",
    "CosFace",
    "EmbeddingTraining",
    "HeadTraining",
    "Margin",
    "Muon",
    "NormFace",
    "SampledCenters",
    "SemiHardTriplets",
]
