"""EmbeddingMethod: an opened embedding model with everything that decides its embeddings."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import functools
from typing import NamedTuple

import keras
import numpy as np

from kerasface.cache import cached
from kerasface.checks import check_choice, check_flag, check_number, check_unused
from kerasface.faces.detectors.registry import Detector, open_detector
from kerasface.faces.five_points import load_five_points
from kerasface.faces.preparation import FACES, Preparation
from kerasface.inference.pretrained import PREPARATIONS, is_pretrained
from kerasface.inference.reading import AnyModel, load_model, model_key, run_of
from kerasface.inference.settings import EmbeddingSettings, fingerprint
from kerasface.models import heads
from kerasface.pipeline.compiled import Infer, compiled
from kerasface.pipeline.crop import Crop
from kerasface.pipeline.predict import predict_array
from kerasface.runs.run import Run

# Faces for a run that was not trained on crops of `kerasface.faces.crop`: with a margin as in
# CelebA's aligned images.
MARGIN = 0.2
FACE_SIZE = 256  # pixels, more than the models take
# Layers that may follow the layer that makes the classes.
AFTER_CLASSES = (
    keras.layers.Activation,
    keras.layers.Dropout,
    keras.layers.Rescaling,
    keras.layers.Softmax,
)


class OpenedModel(NamedTuple):
    """An embedding model, ready for images.

    Attributes:
        network: The model.
        infer: Function from RGB images float32 or uint8 ``[batch, side, side, 3]`` in [0, 255] to
            float32 ``[batch, dimensions]``.
        fingerprint: See `kerasface.inference.settings.fingerprint`.
    """

    network: keras.Model
    infer: Infer
    fingerprint: str


@dataclasses.dataclass(frozen=True, eq=False)
class EmbeddingMethod:
    """How images become embeddings.

    Attributes:
        model: The opened embedding model.
        settings: Preparation of photographs, crop, flip and jitter.
        run: The run of the model; None for other models.
        trained_on: How the training images of the model were cut out of photographs; None if that
            is not known.
    """

    model: OpenedModel
    settings: EmbeddingSettings
    run: Run | None = None
    trained_on: Preparation | None = None

    @property
    def preparation(self) -> Preparation | None:
        """How faces get from photographs to the model; None for images that are faces already."""
        return self.settings.preparation

    def with_faces(self, faces: str) -> EmbeddingMethod:
        """Returns the same method with another choice of the faces of a photograph."""
        if self.preparation is None:
            return self
        preparation = dataclasses.replace(self.preparation, faces=faces)
        settings = dataclasses.replace(self.settings, preparation=preparation)
        return dataclasses.replace(self, settings=settings)


def open_method(
    model: AnyModel,
    *,
    detect: bool | None = None,
    detector: str | Detector | None = None,
    faces: str = "largest",
    flip: bool = False,
    crop: Crop | None = None,
    jitter: int = 0,
    like: EmbeddingSettings | None = None,
) -> EmbeddingMethod:
    """Opens an embedding model with the options of `kerasface.embed`.

    Args:
        model: ``"dlib"``, run, run folder, ``.keras`` file or Keras model.
        detect: If True, find faces first. None does as ``like`` says, else it does so for a
            pretrained network.
        detector: A detector; None takes that of ``like``, else of the preparation of the model.
        faces: Which faces of a photograph count.
        flip: If True, add the embedding of the mirror image.
        crop: Region of each image (or face) that the model sees.
        jitter: Number of randomly moved copies to average; 0 for none.
        like: Settings of a gallery or threshold that the embeddings are compared with.

    Raises:
        ValueError: If an option is out of range or has no effect.
    """
    if detect is not None:
        check_flag("detect", detect)
    check_choice("faces", faces, FACES)
    check_flag("flip", flip)
    check_number("jitter", jitter, 0, whole=True)
    if detect is None:
        detect = is_pretrained(model) if like is None else like.preparation is not None
    preparation = None
    if detect:
        preparation = like.preparation if like is not None else None
        preparation = preparation or preparation_of(model)
        preparation = dataclasses.replace(preparation, faces=faces)
        if detector is not None:
            preparation = dataclasses.replace(preparation, detector=detector, options=())
    else:
        unused = {"detector": detector, "faces": None if faces == "largest" else faces}
        check_unused("without detection", unused, remedy="Use detect=True (--detect).")
    if preparation is None:
        opened = opened_model(model)
    else:  # at the same time, which saves half a second of the first call
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            ready = pool.submit(open_preparation, preparation)
            opened = opened_model(model)
            ready.result()
    settings = EmbeddingSettings(crop, flip, opened.fingerprint, preparation, jitter)
    return EmbeddingMethod(opened, settings, run_of(model), known_preparation(model))


def preparation_of(model: AnyModel) -> Preparation:
    """Returns how faces get from photographs to a model.

    Args:
        model: ``"dlib"``, run, run folder, ``.keras`` file or Keras model.

    Returns:
        `known_preparation`; if that is unknown, upright faces with a margin as in CelebA.
    """
    found = known_preparation(model)
    if found is not None:
        return found
    return Preparation(template="arcface", size=FACE_SIZE, margin=MARGIN)


def known_preparation(model: AnyModel) -> Preparation | None:
    """Returns how the training images of a model were cut out of photographs, if it is known.

    Args:
        model: ``"dlib"``, run, run folder, ``.keras`` file or Keras model.
    """
    if is_pretrained(model):
        return PREPARATIONS[model]
    run = run_of(model)
    return None if run is None else run.preparation


def open_preparation(preparation: Preparation) -> None:
    """Opens what a preparation needs, so that it is in the cache.

    Args:
        preparation: How faces get from photographs to the model.

    Raises:
        ImportError: If the detector's package is not installed.
        RuntimeError: If dlib's landmark predictor is neither installed nor can be downloaded.
    """
    open_detector(preparation.detector, **dict(preparation.options))
    if preparation.align and preparation.template == "dlib":
        load_five_points()


def opened_model(model: AnyModel) -> OpenedModel:
    """Opens the embedding model of a model; those of files and names stay open between calls.

    Args:
        model: ``"dlib"``, run, run folder, ``.keras`` file or Keras model.

    Raises:
        ValueError: As `embedding_model`.
        FileNotFoundError: If there is no such model.
    """
    key = model_key(model)
    if key is None:
        network = embedding_model(load_model(model))
        # Not compiled with constants: the weights may change.
        return OpenedModel(network, functools.partial(predict_array, network), fingerprint(network))

    def make() -> OpenedModel:
        network = embedding_model(load_model(model))
        infer = compiled(network)
        height, width, channels = network.input_shape[1:]
        if None not in (height, width, channels):  # traced here, while a detector is opened
            infer(np.zeros((1, height, width, channels), np.float32))
        return OpenedModel(network, infer, fingerprint(network))

    return cached(("embedding model", key), make)


def embedding_model(model: keras.Model) -> keras.Model:
    """Returns the model itself, or the part of a classifier before the classes.

    Args:
        model: A model that ends with a normalization (it makes embeddings already), or a
            classifier.

    Raises:
        ValueError: If it has several outputs or does not end with a dense layer.
    """
    if isinstance(model.layers[-1], keras.layers.UnitNormalization):
        return model
    behind = (layer for layer in reversed(model.layers) if not isinstance(layer, AFTER_CLASSES))
    last = next(behind, None)
    features = last.input if isinstance(last, keras.layers.Dense) else None
    if len(model.outputs) != 1 or features is None or len(features.shape) != 2:
        raise ValueError(
            "An embedding is the input of the last dense layer of a model with one output. "
            f"Received: {model.name!r} with {len(model.outputs)} outputs and the last layer "
            f"{getattr(last, 'name', None)!r}. Build it with embedding=512, for instance."
        )
    unit = keras.layers.UnitNormalization(
        dtype="float32", name=f"{heads.HEAD_PREFIX}embedding_unit"
    )
    return keras.Model(model.input, unit(features), name=f"{model.name}_embedder")
