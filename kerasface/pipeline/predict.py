"""A table through a model."""

from __future__ import annotations

import keras
import numpy as np

from kerasface.data.table import FaceTable
from kerasface.pipeline.crop import Crop
from kerasface.pipeline.streams import stream


def predict_table(
    model: keras.Model,
    table: FaceTable,
    *,
    batch_size: int = 64,
    crop: Crop | None = None,
    flip: bool = False,
    verbose: int = 0,
) -> np.ndarray:
    """The model's outputs for every image of a table.

    Args:
        model: Maps square RGB images in [0, 255] to one row each.
        table: Which images; labels are not looked at.
        batch_size: Images a step.
        crop: Region of each image that the model is given, as in training; None is all of it.
        flip: Whether the outputs for the mirrored images are averaged in.
        verbose: 1 shows a progress bar.

    Returns:
        float32 ``[len(table), outputs]``, rows in the table's order.

    Raises:
        ValueError: If the model's input is not square, or has no size, or ``crop`` is unknown or
            random.
    """
    _, height, width, _ = model.input_shape
    if height is None or height != width:
        raise ValueError(
            "Tables are read as square images of one size. "
            f"Received: a model for images of {height} x {width} pixels."
        )
    unlabeled = FaceTable(table.root, table.paths, formats=table.formats)
    images = stream(unlabeled, image_size=height, batch_size=batch_size, crop=crop)
    outputs = model.predict(images, verbose=verbose)
    if flip:
        mirrored = images.map(lambda batch: batch[:, :, ::-1])
        outputs = (outputs + model.predict(mirrored, verbose=verbose)) / 2
    return outputs
