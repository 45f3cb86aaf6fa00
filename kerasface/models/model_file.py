"""Opens Keras model files, with an exact message for files of another kind."""

from __future__ import annotations

import os
import pathlib
import zipfile

import keras

SAVE = "save it with model.save('model.keras')"
# Endings of models of other libraries.
OTHER_LIBRARIES = {
    ".bin": "PyTorch",
    ".ckpt": "TensorFlow 1 or PyTorch",
    ".dat": "dlib",
    ".onnx": "ONNX",
    ".pb": "TensorFlow's SavedModel",
    ".pkl": "Python's pickle",
    ".pt": "PyTorch",
    ".pth": "PyTorch",
    ".safetensors": "Hugging Face",
    ".tflite": "LiteRT",
}


def load_model_file(path: str | os.PathLike[str]) -> keras.Model:
    """Loads a ``.keras`` file, without compiling the model.

    Args:
        path: File that ``model.save`` wrote.

    Returns:
        The model.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If the file is not a complete ``.keras`` file. The message says what it is, as
            far as its ending tells, and how to convert it.
    """
    path = pathlib.Path(path)
    if not path.exists():
        raise FileNotFoundError(
            f"A model file must exist. Received: {os.fspath(path)!r}. Check the spelling."
        )
    if path.suffix != ".keras" or path.is_dir():
        raise ValueError(
            f"A model file must end with .keras. Received: {os.fspath(path)!r}, {describe(path)}."
        )
    if not zipfile.is_zipfile(path):
        raise ValueError(
            "A .keras file must be complete. "
            f"Received: {os.fspath(path)!r} ({path.stat().st_size:,} bytes), which is damaged or "
            "was not written by Keras 3. Save or copy it again."
        )
    return keras.saving.load_model(path, compile=False)


def describe(path: pathlib.Path) -> str:
    """Says what a path holds in place of the expected kind of model, and what to do.

    Args:
        path: An existing path.

    Returns:
        The end of a sentence, without a period.
    """
    if path.is_dir():
        return f"a folder. Pass a file, for instance {os.fspath(path / 'model.keras')!r}"
    if path.name.endswith(".weights.h5"):
        return (
            "weights without their network. Build the network and pass the file as `weights` to "
            f"kerasface.build, then {SAVE}"
        )
    if path.suffix in (".h5", ".hdf5"):
        return (
            "Keras's older format. Open it with keras.saving.load_model(path, compile=False) and "
            f"{SAVE}; or take its weights with model.save_weights('model.weights.h5')"
        )
    if path.suffix == ".keras":
        return "a Keras model. Pass the folder of the run"
    library = OTHER_LIBRARIES.get(path.suffix.lower())
    if library is None:
        return f"another kind of file. If it holds a Keras model, {SAVE}"
    return f"a file of {library}. Build the network in Keras, copy the weights and {SAVE}"
