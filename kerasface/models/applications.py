"""The backbones of `keras.applications`, each with its own preprocessing in front, exactly once."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import keras

from kerasface.models import preprocess

# Mean and standard deviation of ImageNet, RGB in [0, 1], as torchvision and Keras have them.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STANDARD_DEVIATION = (0.229, 0.224, 0.225)
# Channel means in the order BGR that the Caffe models were trained with.
CAFFE_MEAN_BGR = (103.939, 116.779, 123.68)


@dataclasses.dataclass(frozen=True)
class Application:
    """A backbone of `keras.applications`.

    Attributes:
        constructor: Its name there.
        preprocessing: What it expects: ``"caffe"`` (BGR less the means), ``"tf"`` ([-1, 1]),
            ``"torch"`` (standardised), or ``"own"``: it begins with its preprocessing.
        image_size: Side of the images that its ImageNet weights were trained with, in pixels.
        smallest: Smallest side that it takes, in pixels.
        parameters: Trainable ones with the head ``"pool"`` and 1,000 classes.
    """

    constructor: str
    preprocessing: str
    image_size: int = 224
    smallest: int = 32
    parameters: int = 0


APPLICATIONS: dict[str, Application] = {
    "densenet121": Application("DenseNet121", "torch"),
    "densenet169": Application("DenseNet169", "torch"),
    "densenet201": Application("DenseNet201", "torch"),
    "efficientnet_b0": Application("EfficientNetB0", "own", 224),
    "efficientnet_b1": Application("EfficientNetB1", "own", 240),
    "efficientnet_b2": Application("EfficientNetB2", "own", 260),
    "efficientnet_b3": Application("EfficientNetB3", "own", 300),
    "efficientnet_b4": Application("EfficientNetB4", "own", 380),
    "efficientnet_b5": Application("EfficientNetB5", "own", 456),
    "efficientnet_b6": Application("EfficientNetB6", "own", 528),
    "efficientnet_b7": Application("EfficientNetB7", "own", 600),
    "efficientnet_v2_b0": Application("EfficientNetV2B0", "own", 224),
    "efficientnet_v2_b1": Application("EfficientNetV2B1", "own", 240),
    "efficientnet_v2_b2": Application("EfficientNetV2B2", "own", 260),
    "efficientnet_v2_b3": Application("EfficientNetV2B3", "own", 300),
    "efficientnet_v2_s": Application("EfficientNetV2S", "own", 384),
    "efficientnet_v2_m": Application("EfficientNetV2M", "own", 480),
    "efficientnet_v2_l": Application("EfficientNetV2L", "own", 480),
    "inception_resnet_v2": Application("InceptionResNetV2", "tf", 299, 75),
    "inception_v3": Application("InceptionV3", "tf", 299, 75),
    "keras_convnext_tiny": Application("ConvNeXtTiny", "own"),
    "keras_convnext_small": Application("ConvNeXtSmall", "own"),
    "keras_convnext_base": Application("ConvNeXtBase", "own"),
    "keras_convnext_large": Application("ConvNeXtLarge", "own"),
    "keras_convnext_xlarge": Application("ConvNeXtXLarge", "own"),
    "mobilenet": Application("MobileNet", "tf"),
    "mobilenet_v2": Application("MobileNetV2", "tf"),
    "mobilenet_v3_large": Application("MobileNetV3Large", "own"),
    "mobilenet_v3_small": Application("MobileNetV3Small", "own"),
    "nasnet_large": Application("NASNetLarge", "tf", 331),
    "nasnet_mobile": Application("NASNetMobile", "tf"),
    "resnet101": Application("ResNet101", "caffe"),
    "resnet101_v2": Application("ResNet101V2", "tf"),
    "resnet152": Application("ResNet152", "caffe"),
    "resnet152_v2": Application("ResNet152V2", "tf"),
    "resnet50": Application("ResNet50", "caffe"),
    "resnet50_v2": Application("ResNet50V2", "tf"),
    "vgg16": Application("VGG16", "caffe"),
    "vgg19": Application("VGG19", "caffe"),
    "xception": Application("Xception", "tf", 299, 71),
}


def application_features(name: str) -> Callable:
    """A function from images to the last feature map of a backbone.

    Args:
        name: One of ``APPLICATIONS``.

    Returns:
        ``(inputs) -> features``, as `ModelSpec.features`: RGB in ``[0, 255]`` of shape
        ``[batch, height, width, 3]`` to ``[batch, h, w, channels]``.
    """

    def features(inputs):
        x = PREPROCESSING[APPLICATIONS[name].preprocessing](inputs)
        backbone = construct(name, input_tensor=x)
        _set_imagenet_statistics(backbone)
        return backbone.output

    return features


def _caffe(x):
    """BGR less the channel means of ImageNet, not scaled."""
    return preprocess.normalize(
        x[..., ::-1],
        [value / 255 for value in CAFFE_MEAN_BGR],
        [1 / 255] * 3,
    )


def _tf(x):
    """[0, 255] to [-1, 1]."""
    return keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="rescale")(x)


def _torch(x):
    """Standardised with the statistics of ImageNet."""
    return preprocess.normalize(x, IMAGENET_MEAN, IMAGENET_STANDARD_DEVIATION)


PREPROCESSING: dict[str, Callable] = {
    "caffe": _caffe,
    "tf": _tf,
    "torch": _torch,
    "own": lambda x: x,
}


def construct(name: str, **options) -> keras.Model:
    """A backbone without its top, as `keras.applications` makes it.

    Args:
        name: One of ``APPLICATIONS``.
        **options: For its constructor: ``input_tensor``, ``input_shape``, ``weights``.
    """
    constructor = getattr(keras.applications, APPLICATIONS[name].constructor)
    return constructor(**{"include_top": False, "weights": None, **options})


def _set_imagenet_statistics(backbone: keras.Model) -> None:
    """Gives EfficientNet's normalisation layer the statistics of ImageNet.

    Without weights it would have none, and with weights from a path those of the file, which
    Keras corrects by a further layer that it adds for ``weights="imagenet"`` alone: the same
    weights would see another input.
    """
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.Normalization) and layer.weights:
            variance = [value**2 for value in IMAGENET_STANDARD_DEVIATION]
            values = {"mean": IMAGENET_MEAN, "variance": variance, "count": 0}
            for weight in layer.weights:
                weight.assign(values[weight.name])
            layer.finalize_state()
