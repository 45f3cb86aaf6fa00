"""Galleries, the nearest people, and who is identified; the course's CSV."""

import dataclasses
import shutil
import sys
import types

import numpy as np
import pandas as pd
import pytest

import kerasface
from kerasface.data import FaceTable, identity_folder
from kerasface.inference import (
    Gallery,
    OperatingPoint,
    enrol,
    identify,
    load_gallery,
    nearest_people,
    submit_matches,
)
from kerasface.inference.embedding import embed, fingerprint, unit_rows
from kerasface.inference.operating_point import write_operating_point
from kerasface.pipeline import Crop


@pytest.fixture(scope="module")
def network(run):
    """The run's embedding model, traced once."""
    return kerasface.embedder(run)


@pytest.fixture(scope="module")
def point(network):
    """A threshold as it is stored with the model."""
    made = {"flip": True, "crop": None, "model": fingerprint(network)}
    return OperatingPoint(0.5, 0.01, 0.9, 1000, "list", **made)


@pytest.fixture(scope="module")
def gallery(network, faces):
    return enrol(network, faces / "train")


def drawn_gallery(people=40, seed=0):
    """A gallery of random directions, one to six a person."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(people), rng.integers(1, 7, people))
    vectors = unit_rows(rng.normal(size=(len(labels), 16)))
    names = tuple(f"n{number:03}" for number in range(people))
    files = tuple(f"{number}.jpg" for number in range(len(labels)))
    return Gallery(vectors, labels, names, files, "a model", False, None)


def fake_faiss():
    """The part of faiss that is used, on numpy."""

    class IndexFlatIP:
        def __init__(self, dimensions):
            self.rows = np.empty((0, dimensions), np.float32)

        def add(self, rows):
            self.rows = np.concatenate([self.rows, rows])

        def search(self, queries, count):
            scores = queries @ self.rows.T
            places = np.argsort(-scores, axis=1, kind="stable")[:, :count]
            return np.take_along_axis(scores, places, axis=1), places

    module = types.ModuleType("faiss")
    module.IndexFlatIP = IndexFlatIP
    module.__spec__ = types.SimpleNamespace(name="faiss")
    return module


@pytest.mark.parametrize("engine", ["numpy", "faiss", "real faiss"])
@pytest.mark.parametrize("count", [1, 7, 99])
def test_nearest_people_are_those_of_plain_loops(engine, count, monkeypatch):
    if engine == "real faiss":
        pytest.importorskip("faiss")
        engine = "faiss"
    else:
        monkeypatch.setitem(sys.modules, "faiss", fake_faiss())
    monkeypatch.setattr("kerasface.inference.identification.CHUNK", 1000)
    known = drawn_gallery()
    queries = unit_rows(np.random.default_rng(1).normal(size=(30, 16)))
    people, scores = nearest_people(known, queries, count, engine=engine)
    for query, found, given in zip(queries, people, scores, strict=True):
        best = {}
        for label, vector in zip(known.labels.tolist(), known.embeddings, strict=True):
            best[label] = max(best.get(label, -2), float(query @ vector))
        expected = sorted(best, key=best.get, reverse=True)[:count]
        assert found.tolist() == expected
        np.testing.assert_allclose(given, [best[label] for label in expected], atol=1e-6)


def test_the_engine_is_chosen_by_size(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", fake_faiss())
    called = []
    for engine in ("numpy", "faiss"):
        monkeypatch.setattr(
            f"kerasface.inference.identification._nearest_with_{engine}",
            lambda *_, engine=engine: called.append(engine),
        )
    known = drawn_gallery()
    nearest_people(known, known.embeddings)
    monkeypatch.setattr("kerasface.inference.identification.MOST_WITH_NUMPY", len(known) - 1)
    nearest_people(known, known.embeddings)
    nearest_people(known, known.embeddings, engine="numpy")
    assert called == ["numpy", "faiss", "numpy"]
    monkeypatch.delitem(sys.modules, "faiss")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    nearest_people(known, known.embeddings)
    assert called[3:] == ["numpy"]
    with pytest.raises(RuntimeError, match=r"pip install kerasface\[faiss\]"):
        nearest_people(known, known.embeddings, engine="faiss")
    with pytest.raises(ValueError, match=r"one of .*engine='annoy'"):
        nearest_people(known, known.embeddings, engine="annoy")
    with pytest.raises(ValueError, match=r"\(2, 9\) for a gallery of length 16"):
        nearest_people(known, np.ones((2, 9)))


def test_a_gallery_holds_the_people(network, faces, gallery, tmp_path):
    table = identity_folder(faces / "train")
    np.testing.assert_allclose(gallery.embeddings, embed(network, table), atol=1e-6)
    assert gallery.names == table.names and gallery.files == tuple(table.paths)
    gallery.save(tmp_path / "people.npz")
    again = load_gallery(tmp_path / "people.npz")
    for name in ("embeddings", "labels"):
        np.testing.assert_array_equal(getattr(again, name), getattr(gallery, name))
    for name in ("names", "files", "model", "flip", "crop"):
        assert getattr(again, name) == getattr(gallery, name)
    with np.load(tmp_path / "people.npz", allow_pickle=False) as saved:
        assert all(saved[name].dtype != object for name in saved.files)
    # Shuffled rows and people without pictures make the same gallery.
    mixed = FaceTable(
        table.root, table.paths[::-1], table.labels[::-1] + 1, ("nobody", *table.names)
    )
    other = enrol(network, mixed)
    assert other.names == gallery.names and other.labels.tolist() == gallery.labels.tolist()


def test_probes_with_names_are_judged(network, faces, gallery, tmp_path):
    probes = tmp_path / "probes"
    shutil.copytree(faces / "dev", probes)
    (probes / "p0003").rename(probes / "a stranger")
    result = identify(network, gallery, probes, threshold=0.9, count=3, out=tmp_path / "out")
    frame = result.answers
    assert list(frame) == [
        *("path", "answer", "score", "name1", "score1", "name2", "score2", "name3", "score3"),
        "truth",
    ]
    assert len(frame) == 12
    truth = [path.split("/")[0] for path in frame["path"]]
    assert frame["truth"].tolist() == ["" if name == "a stranger" else name for name in truth]
    assert (frame["answer"] == np.where(frame["score"] >= 0.9, frame["name1"], "")).all()
    known = frame["truth"] != ""
    metrics = result.figures.metrics
    assert (metrics["known"], metrics["unknown"]) == (9, 3)
    assert metrics["rank1"] == pytest.approx((frame["name1"] == frame["truth"])[known].mean())
    assert metrics["accuracy"] == pytest.approx((frame["answer"] == frame["truth"]).mean())
    assert result.figures.cmc["share"].iloc[3] == 1  # one of four people
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {"answers.csv", "cmc.csv", "cmc.png", "metrics.json"}


def test_probes_without_names(network, faces, gallery, tmp_path):
    result = identify(network, gallery, faces / "test", out=tmp_path)
    assert result.figures is None and result.threshold is None
    assert set(result.answers["answer"]) <= set(gallery.names)
    assert [path.name for path in tmp_path.iterdir()] == ["answers.csv"]
    # A picture is most like itself.
    same = identify(network, gallery, faces / "train", threshold=1.1)
    assert same.figures.metrics["rank1"] == 1 and same.figures.metrics["identified"] == 0
    assert set(same.answers["answer"]) == {""}


def test_the_stored_threshold_and_its_flip(run, network, faces, gallery, point, tmp_path):
    own = kerasface.Run(shutil.copytree(run.folder, tmp_path / "run"))
    write_operating_point(own, point)
    result = identify(own, faces / "train", faces / "test")
    assert result.threshold == 0.5
    mirrored = identify(network, faces / "train", faces / "test", flip=True)
    assert mirrored.threshold is None
    np.testing.assert_allclose(result.answers["score"], mirrored.answers["score"], atol=1e-6)
    with pytest.raises(ValueError, match="flip=True for a gallery with flip=False"):
        identify(network, gallery, faces / "test", flip=True)
    gallery.save(tmp_path / "people.npz")
    with pytest.warns(UserWarning, match="measured with flip=True.*made with flip=False"):
        saved = identify(network, tmp_path / "people.npz", faces / "test", threshold=point)
    assert saved.threshold == 0.5
    other = dataclasses.replace(point, model="another")
    with pytest.raises(ValueError, match="belongs to the weights that it was measured with"):
        identify(network, gallery, faces / "test", threshold=other)


def test_probes_of_the_gallery_are_told(network, faces):
    with pytest.warns(UserWarning, match="8 of the 8 probes are in the gallery themselves"):
        identify(network, faces / "train", identity_folder(faces / "train").take(range(8)))


def test_the_crop_goes_with_the_gallery_and_the_threshold(network, faces, point, tmp_path):
    cut = enrol(network, faces / "train", crop=Crop(0.5, shape="image"))
    assert cut.crop == Crop(0.5, shape="image")
    cut.save(tmp_path / "cut.npz")
    result = identify(network, tmp_path / "cut.npz", faces / "test")
    vectors = embed(network, faces / "test", crop=Crop(0.5, shape="image"))
    np.testing.assert_allclose(
        result.answers["score"], (vectors @ cut.embeddings.T).max(axis=1), atol=1e-6
    )
    with pytest.raises(ValueError, match=r"share=0\.6.* for a gallery with crop=.*share=0\.5"):
        identify(network, cut, faces / "test", crop=Crop(0.6, shape="image"))
    # A new gallery is made as the threshold was.
    known = dataclasses.replace(point, flip=False, crop=Crop(0.5, shape="image"))
    same = identify(network, faces / "train", faces / "test", threshold=known)
    np.testing.assert_allclose(same.answers["score"], result.answers["score"], atol=1e-6)
    whole = Crop(shape="image")
    with pytest.warns(UserWarning, match=r"share=0\.5.* and these.*share=1\.0"):
        identify(network, faces / "train", faces / "test", threshold=known, crop=whole)


def test_probes_beside_folders_of_people_are_refused(network, faces, gallery, tmp_path):
    mixed = shutil.copytree(faces / "dev", tmp_path / "mixed")
    (mixed / "nobody").mkdir()
    assert len(identify(network, gallery, mixed).answers) == 12
    shutil.copy(next((mixed / "p0001").iterdir()), mixed / "loose.png")
    with pytest.raises(ValueError, match=r"both, for instance 'loose\.png'.*Take them apart"):
        identify(network, gallery, mixed)


def test_the_gallery_is_kept(network, faces, gallery, tmp_path):
    with pytest.warns(UserWarning, match="probes are in the gallery themselves"):
        identify(
            network,
            faces / "train",
            identity_folder(faces / "train"),
            save_gallery=tmp_path / "kept.npz",
        )
    np.testing.assert_array_equal(
        load_gallery(tmp_path / "kept.npz").embeddings, gallery.embeddings
    )
    with pytest.raises(ValueError, match=r"ends with \.npz"):
        identify(network, gallery, faces / "test", save_gallery="people.pickle")


def test_refused_galleries(network, faces, gallery, tmp_path):
    other = dataclasses.replace(gallery, model="another")
    with pytest.raises(ValueError, match="made by another model"):
        identify(network, other, faces / "test")
    with pytest.raises(ValueError, match=r"ends with \.npz"):
        gallery.save(tmp_path / "people.pickle")
    with pytest.raises(FileNotFoundError, match=r"none\.npz"):
        load_gallery(tmp_path / "none.npz")
    (tmp_path / "bad.npz").write_bytes(b"no zip")
    with pytest.raises(ValueError, match=r"bad\.npz"):
        load_gallery(tmp_path / "bad.npz")
    with pytest.raises(ValueError, match=r"who is in each picture.*unlabeled"):
        enrol(network, FaceTable(faces / "test", ["000000.jpg"]))


@pytest.fixture
def course(faces, tmp_path):
    """The competition's folders: three known people, pictures of four."""
    folder = tmp_path / "course"
    for name in ("p0000", "p0001", "p0002"):
        shutil.copytree(faces / "train" / name, folder / "known" / name)
    for side, source in (("unknown_dev", "dev"), ("unknown_test", "dev")):
        (folder / side).mkdir(parents=True)
        for person in sorted((faces / source).iterdir()):
            for path in sorted(person.iterdir()):
                shutil.copy(path, folder / side / f"{person.name}_{path.name}")
    labels = [path.name[:5] for path in sorted((folder / "unknown_dev").iterdir())]
    frame = pd.DataFrame({"label": [name if name != "p0003" else "n000000" for name in labels]})
    frame.to_csv(folder / "verification_dev.csv", index_label="id")
    return folder


def test_course_submission(network, course, tmp_path):
    folders = (network, course / "known", course / "unknown_test", tmp_path / "out.csv")
    dev = {"dev": course / "unknown_dev", "dev_labels": course / "verification_dev.csv"}
    matches = submit_matches(*folders, **dev)
    frame = pd.read_csv(matches.path, dtype=str)
    assert list(frame) == ["id", "label"]
    assert frame["id"].tolist() == [str(place) for place in range(12)]
    assert set(frame["label"]) <= {"p0000", "p0001", "p0002", "n000000"}
    assert matches.matched == pytest.approx((frame["label"] != "n000000").mean())
    # The same pictures here and there: the accuracy is that of the file.
    truth = pd.read_csv(course / "verification_dev.csv", dtype=str)["label"]
    assert matches.dev_accuracy == pytest.approx((frame["label"] == truth).mean())
    # No other threshold does better.
    for threshold in (-1.0, 0.99, 2.0):
        other = submit_matches(*folders, threshold=threshold, **dev)
        assert other.threshold == threshold
        assert other.dev_accuracy <= matches.dev_accuracy
    assert set(pd.read_csv(matches.path)["label"]) == {"n000000"}  # nobody is as near as 2
    all_named = submit_matches(*folders, threshold=-1.0, no_match="nobody")
    assert (all_named.matched, all_named.dev_accuracy) == (1, None)


def test_course_mistakes(network, course, tmp_path):
    folders = (network, course / "known", course / "unknown_test", tmp_path / "out.csv")
    with pytest.raises(ValueError, match=r"needs a threshold.*dev_labels"):
        submit_matches(*folders)
    with pytest.raises(ValueError, match="go together"):
        submit_matches(*folders, dev=course / "unknown_dev")
    labels = course / "verification_dev.csv"
    options = {"dev": course / "unknown_dev", "dev_labels": labels}
    with pytest.raises(FileNotFoundError, match=r"none\.csv"):
        submit_matches(*folders, **{**options, "dev_labels": course / "none.csv"})
    with pytest.raises(ValueError, match=r"known person or 'nobody'.*n000000"):
        submit_matches(*folders, **options, no_match="nobody")
    rows = labels.read_text().splitlines()
    labels.write_text("\n".join(rows[:-1]))
    with pytest.raises(ValueError, match=r"11 labels .* for 12 pictures"):
        submit_matches(*folders, **options)
    labels.write_text("\n".join(["id,name", *rows[1:]]))
    with pytest.raises(ValueError, match="a column 'label'"):
        submit_matches(*folders, **options)
    assert not (tmp_path / "out.csv").exists()
