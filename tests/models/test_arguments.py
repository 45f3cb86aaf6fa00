"""Messages of `build` and `load_model_file` for wrong arguments and files."""

import re

import numpy as np
import pytest

import kerasface
from kerasface.models.factory import OTHER_NAMES
from kerasface.models.model_file import OTHER_LIBRARIES, load_model_file
from kerasface.runs import Run

SMALL = {"channels": (4,), "blocks_per_stage": (1,), "input_shape": (16, 16, 3)}


@pytest.mark.parametrize(
    ("input_shape", "remedy"),
    [
        (32, "Use input_shape=(32, 32, 3)."),
        ((32, 48), "Use input_shape=(32, 48, 3)."),
        ((32, 32, 1), "Use input_shape=(32, 32, 3). Models take RGB"),
        ((3, 32, 32), "Use input_shape=(32, 32, 3)."),
        ((32, 32, 4), "Models take RGB images: three channels"),
        ((None, None, 3), "Height and width must be integers."),
        ((32.0, 32.0, 3), "Height and width must be integers."),
        ("32", "Height and width must be integers."),
    ],
)
def test_wrong_input_shape_suggests_a_correct_one(input_shape, remedy):
    message = f"must be (height, width, 3) in pixels. Received: input_shape={input_shape!r}."
    with pytest.raises(ValueError, match=re.escape(f"{message} {remedy}")):
        kerasface.build("convnext_nano", num_classes=3, input_shape=input_shape)


def test_numpy_integers_are_accepted():
    options = {**SMALL, "input_shape": (np.int64(16), np.int32(16), 3)}
    assert kerasface.build("convnext_nano", np.int64(3), **options).output_shape == (None, 3)
    model = kerasface.build("convnext_nano", embedding=np.int64(4), **options)
    assert model.output_shape == (None, 4)


def test_list_of_names_as_num_classes():
    with pytest.raises(ValueError, match="Pass the number of names, 2"):
        kerasface.build("convnext_nano", num_classes=["ann", "bob"])


@pytest.mark.parametrize("name", sorted(OTHER_NAMES))
def test_argument_names_of_other_libraries(name):
    with pytest.raises(ValueError, match=re.escape(f"{name}=1. Use {OTHER_NAMES[name]}.")):
        kerasface.build("convnext_nano", num_classes=3, **{name: 1})


def test_network_option_may_have_a_name_of_another_library():
    @kerasface.register_model(name="with_pooling", image_size=16, overwrite=True)
    def with_pooling(inputs, *, pooling="avg"):
        """Network with an option that `build` of other libraries has."""
        assert pooling == "max"
        return inputs

    assert kerasface.build("with_pooling", num_classes=2, pooling="max").output_shape == (None, 2)


@pytest.mark.parametrize("name", [None, 5, ["resnet50"]])
def test_model_name_must_be_a_string(name):
    with pytest.raises(TypeError, match="The name of a model must be a string"):
        kerasface.build(name, num_classes=3)


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        (True, TypeError, "Use weights='imagenet'."),
        (5, TypeError, "a path or None. Received: weights=5"),
        ("ImageNet", FileNotFoundError, "Did you mean 'imagenet'"),
    ],
)
def test_wrong_kind_of_weights(weights, error, message):
    with pytest.raises(error, match=message):
        kerasface.build("convnext_nano", num_classes=3, **SMALL, weights=weights)


@pytest.mark.parametrize("ending", [".h5", ".hdf5", ".weights.h5", ".txt", *OTHER_LIBRARIES])
def test_files_of_another_kind_are_named(tmp_path, ending):
    path = tmp_path / f"model{ending}"
    path.write_bytes(b"x")
    kind = {
        ".h5": "Keras's older format",
        ".hdf5": "Keras's older format",
        ".weights.h5": "weights without their network",
        ".txt": "another kind of file",
    }.get(ending) or f"a file of {OTHER_LIBRARIES[ending]}"
    with pytest.raises(ValueError, match=re.escape(f"{str(path)!r}, {kind}")):
        load_model_file(path)
    with pytest.raises(NotADirectoryError, match=re.escape(f"{str(path)!r}, {kind}")):
        Run(path)
    if ending == ".dat":
        with pytest.raises(ValueError, match="dlib's weights are those of the model"):
            kerasface.build("convnext_nano", num_classes=3, **SMALL, weights=path)
    elif not ending.endswith(".weights.h5"):
        with pytest.raises(ValueError, match=re.escape(kind)):
            kerasface.build("convnext_nano", num_classes=3, **SMALL, weights=path)


def test_incomplete_model_file(tmp_path):
    path = tmp_path / "model.keras"
    path.write_bytes(b"PK\x03\x04")
    with pytest.raises(ValueError, match=r"model.keras' \(4 bytes\), which is damaged"):
        load_model_file(path)
    with pytest.raises(FileNotFoundError, match="must exist"):
        load_model_file(tmp_path / "none.keras")


def test_run_folder_as_weights_names_its_model(tmp_path):
    (tmp_path / "model.keras").write_bytes(b"x")
    with pytest.raises(ValueError, match=re.escape(f"Pass {str(tmp_path / 'model.keras')!r}.")):
        kerasface.build("convnext_nano", num_classes=3, **SMALL, weights=tmp_path)
