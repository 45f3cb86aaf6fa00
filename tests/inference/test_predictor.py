"""Tests of predictions by models that are not runs, and of the options of predict."""

import keras
import numpy as np
import pandas as pd
import pytest
from PIL import Image

import kerasface
from kerasface.inference import attribute_summary, submit_matches, verify_pairs
from kerasface.inference.prediction import predict, submit
from kerasface.pipeline.predict import predict_table

NAMES = ["Smiling", "Beard", "Wearing_Hat"]


def network(activation, outputs=3):
    """A model of random weights for images of 16 pixels."""
    inputs = keras.Input((16, 16, 3))
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs))
    x = keras.layers.Dense(outputs, kernel_initializer=keras.initializers.RandomNormal(seed=0))(x)
    last = keras.layers.Softmax() if activation is None else keras.layers.Activation(activation)
    return keras.Model(inputs, last(x), name="mine")


@pytest.mark.parametrize("activation", [None, "softmax"])
def test_keras_model_of_classes(faces, tmp_path, activation):
    model = network(activation)
    model.save(tmp_path / "mine.keras")
    frame = predict(model, faces / "test")
    assert list(frame)[-3:] == ["p:0", "p:1", "p:2"]
    named = predict(tmp_path / "mine.keras", faces / "test", names=["ann", "bob", "cy"])
    best = named[["p:ann", "p:bob", "p:cy"]].to_numpy().argmax(axis=1)
    assert named["prediction"].tolist() == np.array(["ann", "bob", "cy"])[best].tolist()
    np.testing.assert_allclose(named.filter(regex="^p:"), frame.filter(regex="^p:"), atol=1e-6)
    out = submit(model, faces / "test", tmp_path / "submission.csv")
    assert pd.read_csv(out)["label"].tolist() == best.tolist()
    out = submit(model, faces / "test", out, names=["ann", "bob", "cy"], label="name")
    assert pd.read_csv(out)["label"].tolist() == named["prediction"].tolist()


def test_keras_model_of_attributes(faces):
    model = network("sigmoid")
    frame = predict([model, model], faces / "test", names=NAMES)
    columns = [f"p:{name}" for name in NAMES]
    np.testing.assert_array_equal(frame[NAMES], frame[columns].to_numpy() >= 0.5)
    assert attribute_summary(frame, model)["train_share"].isna().all()
    with pytest.raises(ValueError, match=r"needs a model of classes.*mine, a model of attributes"):
        submit(model, faces / "test", "out.csv")


def test_only_and_threshold(attribute_run, celeba_folder):
    photos = sorted((celeba_folder / "img_align_celeba").iterdir())[:4]
    everything = predict(attribute_run, photos)
    some = predict(attribute_run, photos, only=["Wearing_Hat", "Smiling"], threshold=0.0)
    assert list(some) == ["path", "prediction", *NAMES[::-2], "p:Wearing_Hat", "p:Smiling"]
    assert some["Wearing_Hat"].all() and some["Smiling"].all()
    assert set(some["prediction"]) == {"wearing hat, smiling"}
    np.testing.assert_array_equal(some["p:Smiling"], everything["p:Smiling"])
    assert not predict(attribute_run, photos, threshold=1.0)[NAMES].to_numpy().any()
    summary = attribute_summary(some, attribute_run).set_index("attribute")
    assert summary["predicted"].tolist() == [4, 4]
    labels = pd.read_csv(attribute_run.path("images.csv"), dtype={"label": str})
    labels = labels["label"][labels["partition"] == "train"]
    position = attribute_run.names.index("Smiling")
    expected = np.mean([text[position] == "1" for text in labels])
    assert summary["train_share"]["Smiling"] == pytest.approx(expected)
    assert 0 < expected < 1


def test_class_runs_have_no_summary(run, faces):
    assert len(attribute_summary(predict(run, faces / "test"), run)) == 0


PHOTO, PAIR = "photo.jpg", ("a.jpg", "b.jpg")


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda run, _: predict(run, PHOTO, detector="mtcnn"), ValueError, "`detector` has no ef"),
        (lambda run, _: predict(run, PHOTO, margin=0.0), ValueError, r"detect=True \(--detect\)"),
        (lambda run, _: predict(run, PHOTO, only=["A"]), ValueError, "for a model of classes"),
        (lambda run, _: predict(run, PHOTO, threshold=0.5), ValueError, "`threshold` has no ef"),
        (lambda run, _: predict(run, PHOTO, names=["a"]), ValueError, "which has its own names"),
        (lambda run, _: predict(run, PHOTO, detect="mtcnn"), ValueError, "must be True or False"),
        (lambda _, run: predict(run, PHOTO, only=["Smilin"]), ValueError, "Did you mean"),
        (lambda _, run: predict(run, PHOTO, only=[]), ValueError, "at least one attribute"),
        (lambda _, run: predict(run, PHOTO, threshold=1.5), ValueError, r"in \[0, 1\]"),
        (lambda run, _: kerasface.verify(*PAIR, model=run, threshold=1.5), ValueError, r"\[-1, 1"),
        (lambda run, _: kerasface.identify("g", "p", model=run, threshold=-2), ValueError, "-1, 1"),
        (lambda run, _: kerasface.identify("g", "p", model=run, count=0), ValueError, "at least 1"),
        (lambda run, _: submit_matches(run, "k", "u", "o", threshold=50), ValueError, r"\[-1, 1\]"),
        (lambda run, _: kerasface.embedder(run, flip=True), ValueError, "without a discriminant"),
        (lambda run, _: kerasface.embedder(run, shrinkage=0.5), ValueError, "`shrinkage` has no"),
        (
            lambda run, _: predict(run, np.ones((2, 8, 8, 3))),
            ValueError,
            r"`images\[0\]` must have",
        ),
        (lambda run, _: predict(run, [np.zeros(3)]), ValueError, r"`images\[0\]` must be a path"),
        (lambda run, _: predict(run, {"a": 1}), TypeError, "`images` must be an image, a list"),
        (lambda run, _: submit(run, 3, "out.csv"), TypeError, "`images` must be an image, a list"),
        (lambda run, _: predict(run, run.folder), ValueError, "Models are the first argument"),
        (lambda run, _: predict(3, PHOTO), TypeError, "Received: int. In Python it may"),
        (lambda run, _: predict("nothere", PHOTO), FileNotFoundError, "'nothere', which does not"),
        (lambda run, _: predict(run, PHOTO), FileNotFoundError, "'photo.jpg', which does not exi"),
        (lambda run, _: kerasface.evaluate("no.keras", "d"), FileNotFoundError, "does not exist"),
        (
            lambda run, _: kerasface.evaluate(network(None), "d"),
            ValueError,
            "`evaluate` needs a ru",
        ),
        (lambda run, _: kerasface.embed(PHOTO, model=[run]), TypeError, "Give one model"),
        (lambda run, _: predict(network("linear"), PHOTO), ValueError, r"keras\.layers\.Softmax"),
        (lambda run, _: predict(network(None), PHOTO, names=["a"]), ValueError, "1 names for mine"),
        (
            lambda run, _: predict(kerasface.embedder(run), PHOTO),
            ValueError,
            "an embedding model. Use kerasface.embed",
        ),
        (
            lambda run, _: verify_pairs("pairs.csv", "faces", model=run, out=__file__),
            ValueError,
            "must be a folder",
        ),
    ],
)
def test_exact_answers(run, attribute_run, call, error, message):
    with pytest.raises(error, match=message):
        call(run, attribute_run)


def test_wrong_model_paths_are_described(run, tmp_path):
    cases = {
        "old.h5": r"older format\. Open it with keras\.saving\.load_model",
        "photo.jpg": "photo.jpg', an image",
        "notes.txt": "another kind of file",
        "broken.keras": "which is damaged or was not written by Keras 3",
    }
    for name, message in cases.items():
        (tmp_path / name).write_bytes(b"nothing")
        with pytest.raises(ValueError, match=message):
            predict(tmp_path / name, "photo.jpg")
    with pytest.raises(FileNotFoundError, match=r"holds the runs \['tiny'\]. Give one of them"):
        predict(run.folder.parent, "photo.jpg")


def test_predictions_survive_pictures_that_cannot_be_written(run, faces, tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("kerasface.inference.prediction.draw_predictions", full)
    with pytest.warns(UserWarning, match="No space left"):
        assert len(predict(run, faces / "test", pictures=tmp_path / "pictures")) == 8


def test_images_in_memory_are_predicted_like_files(run, attribute_run, faces, tmp_path):
    files = sorted((faces / "test").iterdir())
    pixels = [np.asarray(Image.open(file)) for file in files]
    expected = predict(run, faces / "test", flip=True)
    forms = [pixels[0], Image.open(files[1]), files[2].read_bytes(), *files[3:]]
    frame = predict(run, forms, flip=True, batch_size=3, pictures=tmp_path / "pictures")
    assert frame["path"].tolist() == [*(f"image {i}" for i in (1, 2, 3)), *expected["path"][3:]]
    pd.testing.assert_frame_equal(frame.drop(columns="path"), expected.drop(columns="path"))
    assert (tmp_path / "pictures" / "image 1.png").is_file()
    batch = np.stack(pixels).astype(np.float32)
    pd.testing.assert_frame_equal(
        predict(run, batch, flip=True).drop(columns="path"), expected.drop(columns="path")
    )
    single = predict(attribute_run, pixels[0])
    assert len(single) == 1
    out = submit(run, pixels, tmp_path / "submission.csv")
    written = pd.read_csv(out)
    assert written["id"].tolist() == [f"image {i}" for i in range(1, 9)]
    without_flip = predict(run, faces / "test")["prediction"]
    assert [run.names[label] for label in written["label"]] == without_flip.tolist()


def test_second_call_does_not_open_the_run_again(run, faces, monkeypatch):
    opened = []
    load = kerasface.models.model_file.load_model_file

    def counting(path):
        opened.append(path)
        return load(path)

    monkeypatch.setattr("kerasface.runs.run.load_model_file", counting)
    kerasface.clear_cache()
    first = predict(run.folder, faces / "test")
    second = predict(run.folder, faces / "test")
    assert len(opened) == 1
    pd.testing.assert_frame_equal(first, second)
    mine = run.load_model()  # a model that a user changes is another one
    for weights in mine.weights:
        weights.assign(keras.ops.zeros_like(weights))
    pd.testing.assert_frame_equal(first, predict(run.folder, faces / "test"))


def test_model_file_in_a_run_folder_is_the_run(run, faces):
    frame = predict(run.path("model.keras"), faces / "test")
    pd.testing.assert_frame_equal(frame, predict(run, faces / "test"))
    expected = predict_table(run.load_model(), kerasface.data.unlabeled_folder(faces / "test"))
    np.testing.assert_allclose(frame.filter(regex="^p:"), expected, atol=1e-6)
