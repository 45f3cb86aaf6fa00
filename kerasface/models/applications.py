"""The backbones of `keras.applications`, each with its own preprocessing as its first layers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
from keras import KerasTensor

from kerasface.models import preprocess
from kerasface.models.blocks import BATCH_NORM_MOMENTUM

# Mean and standard deviation of ImageNet, RGB in [0, 1], as in torchvision and Keras.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STANDARD_DEVIATION = (0.229, 0.224, 0.225)
# Channel means in the order BGR that the Caffe models were trained with.
CAFFE_MEAN_BGR = (103.939, 116.779, 123.68)


@dataclasses.dataclass(frozen=True)
class Application:
    """A backbone of `keras.applications`.

    Attributes:
        constructor: Its name in `keras.applications`.
        preprocessing: Expected input: ``"caffe"`` (BGR minus the means), ``"tf"`` ([-1, 1]),
            ``"torch"`` (standardized), or ``"own"`` if its first layers preprocess.
        image_size: Side of the images that its ImageNet weights were trained with, in pixels.
        smallest: Smallest side of its images in pixels.
        parameters: Number of trainable parameters with the head ``"pool"`` and 1,000 classes.
    """

    constructor: str
    preprocessing: str
    image_size: int = 224
    smallest: int = 32
    parameters: int = 0


APPLICATIONS: dict[str, Application] = {
    "densenet121": Application("DenseNet121", "torch", parameters=7_978_856),
    "densenet169": Application("DenseNet169", "torch", parameters=14_149_480),
    "densenet201": Application("DenseNet201", "torch", parameters=20_013_928),
    "efficientnet_b0": Application("EfficientNetB0", "own", 224, parameters=5_288_548),
    "efficientnet_b1": Application("EfficientNetB1", "own", 240, parameters=7_794_184),
    "efficientnet_b2": Application("EfficientNetB2", "own", 260, parameters=9_109_994),
    "efficientnet_b3": Application("EfficientNetB3", "own", 300, parameters=12_233_232),
    "efficientnet_b4": Application("EfficientNetB4", "own", 380, parameters=19_341_616),
    "efficientnet_b5": Application("EfficientNetB5", "own", 456, parameters=30_389_784),
    "efficientnet_b6": Application("EfficientNetB6", "own", 528, parameters=43_040_704),
    "efficientnet_b7": Application("EfficientNetB7", "own", 600, parameters=66_347_960),
    "efficientnet_v2_b0": Application("EfficientNetV2B0", "own", 224, parameters=7_139_704),
    "efficientnet_v2_b1": Application("EfficientNetV2B1", "own", 240, parameters=8_141_052),
    "efficientnet_v2_b2": Application("EfficientNetV2B2", "own", 260, parameters=10_096_086),
    "efficientnet_v2_b3": Application("EfficientNetV2B3", "own", 300, parameters=14_358_406),
    "efficientnet_v2_s": Application("EfficientNetV2S", "own", 384, parameters=21_458_488),
    "efficientnet_v2_m": Application("EfficientNetV2M", "own", 480, parameters=54_139_356),
    "efficientnet_v2_l": Application("EfficientNetV2L", "own", 480, parameters=118_515_272),
    "inception_resnet_v2": Application("InceptionResNetV2", "tf", 299, 75, parameters=55_813_192),
    "inception_v3": Application("InceptionV3", "tf", 299, 75, parameters=23_817_352),
    "keras_convnext_tiny": Application("ConvNeXtTiny", "own", parameters=28_589_128),
    "keras_convnext_small": Application("ConvNeXtSmall", "own", parameters=50_223_688),
    "keras_convnext_base": Application("ConvNeXtBase", "own", parameters=88_591_464),
    "keras_convnext_large": Application("ConvNeXtLarge", "own", parameters=197_767_336),
    "keras_convnext_xlarge": Application("ConvNeXtXLarge", "own", parameters=350_196_968),
    "mobilenet": Application("MobileNet", "tf", parameters=4_231_976),
    "mobilenet_v2": Application("MobileNetV2", "tf", parameters=3_504_872),
    "mobilenet_v3_large": Application("MobileNetV3Large", "own", parameters=3_932_952),
    "mobilenet_v3_small": Application("MobileNetV3Small", "own", parameters=1_504_008),
    "nasnet_large": Application("NASNetLarge", "tf", 331, parameters=88_753_150),
    "nasnet_mobile": Application("NASNetMobile", "tf", parameters=5_289_978),
    "resnet101": Application("ResNet101", "caffe", parameters=44_601_832),
    "resnet101_v2": Application("ResNet101V2", "tf", parameters=44_577_896),
    "resnet152": Application("ResNet152", "caffe", parameters=60_268_520),
    "resnet152_v2": Application("ResNet152V2", "tf", parameters=60_236_904),
    "resnet50": Application("ResNet50", "caffe", parameters=25_583_592),
    "resnet50_v2": Application("ResNet50V2", "tf", parameters=25_568_360),
    "vgg16": Application("VGG16", "caffe", parameters=15_227_688),
    "vgg19": Application("VGG19", "caffe", parameters=20_537_384),
    "xception": Application("Xception", "tf", 299, 71, parameters=22_855_952),
}


def application_features(name: str) -> Callable[[KerasTensor], KerasTensor]:
    """Returns a function from images to the last feature map of a backbone.

    Args:
        name: One of ``APPLICATIONS``.

    Returns:
        ``(inputs) -> features``, as `ModelSpec.features`: RGB in ``[0, 255]`` of shape
        ``[batch, height, width, 3]`` to ``[batch, h, w, channels]``.
    """

    def features(inputs: KerasTensor) -> KerasTensor:
        x = PREPROCESSING[APPLICATIONS[name].preprocessing](inputs)
        backbone = construct(name, input_tensor=x)
        _set_imagenet_statistics(backbone)
        _set_norm_momentum(backbone)
        return backbone.output

    return features


def _set_norm_momentum(backbone: keras.Model) -> None:
    """Sets the momentum of BatchNorms to that of the other networks here.

    Keras's backbones have 0.99 and its MobileNets 0.999, for ImageNet's millions of steps. In a
    few hundred steps the moving averages would lag far behind, and a network that fits its training
    images would fail on them in inference mode.
    """
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = BATCH_NORM_MOMENTUM


def _caffe(x: KerasTensor) -> KerasTensor:
    """Converts to BGR and subtracts the channel means of ImageNet, without scaling."""
    return preprocess.normalize(
        x[..., ::-1],
        [value / 255 for value in CAFFE_MEAN_BGR],
        [1 / 255] * 3,
    )


def _tf(x: KerasTensor) -> KerasTensor:
    """Scales [0, 255] to [-1, 1]."""
    return keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="rescale")(x)


def _torch(x: KerasTensor) -> KerasTensor:
    """Standardizes with the statistics of ImageNet."""
    return preprocess.normalize(x, IMAGENET_MEAN, IMAGENET_STANDARD_DEVIATION)


PREPROCESSING: dict[str, Callable[[KerasTensor], KerasTensor]] = {
    "caffe": _caffe,
    "tf": _tf,
    "torch": _torch,
    "own": lambda x: x,
}


def construct(name: str, **options: Any) -> keras.Model:
    """Builds a backbone of `keras.applications` without its top.

    Args:
        name: One of ``APPLICATIONS``.
        **options: Options of its constructor: ``input_tensor``, ``input_shape``, ``weights``.
    """
    constructor = getattr(keras.applications, APPLICATIONS[name].constructor)
    return constructor(**{"include_top": False, "weights": None, **options})


def _set_imagenet_statistics(backbone: keras.Model) -> None:
    """Sets the statistics of ImageNet in EfficientNet's normalization layer.

    Without weights it would have no statistics. With weights from a path it would have those of the
    file, which Keras corrects with an additional layer only for ``weights="imagenet"``, so that the
    same weights would get another input.
    """
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.Normalization) and layer.weights:
            variance = [value**2 for value in IMAGENET_STANDARD_DEVIATION]
            values = {"mean": IMAGENET_MEAN, "variance": variance, "count": 0}
            for weight in layer.weights:
                weight.assign(values[weight.name])
            layer.finalize_state()
