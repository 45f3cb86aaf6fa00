"""Identification: answers, metrics, thresholds and the gallery that is used."""

import dataclasses
import shutil

import numpy as np
import pytest

import kerasface
from kerasface.data import identity_folder
from kerasface.inference import embed, enroll, identify, load_gallery
from kerasface.inference.operating_point import write_operating_point
from kerasface.pipeline import Crop


def test_labelled_probes_are_evaluated(network, faces, gallery, tmp_path):
    probes = tmp_path / "probes"
    shutil.copytree(faces / "dev", probes)
    (probes / "p0003").rename(probes / "a stranger")
    result = identify(gallery, probes, model=network, threshold=0.9, count=3, out=tmp_path / "out")
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
    metrics = result.metrics
    assert (metrics["known"], metrics["unknown"]) == (9, 3)
    assert metrics["rank1"] == pytest.approx((frame["name1"] == frame["truth"])[known].mean())
    assert metrics["accuracy"] == pytest.approx((frame["answer"] == frame["truth"]).mean())
    assert result.cmc["share"].iloc[3] == 1  # one of four people
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {"answers.csv", "cmc.csv", "cmc.png", "metrics.json", "report.html"}
    page = (tmp_path / "out" / "report.html").read_text()
    assert f"For {metrics['rank1']:.2%} of the 9 probes of known people the right person" in page
    assert "a random choice among 4 people would reach 25.00%" in page
    wrong = (frame["answer"] != frame["truth"]).sum()
    assert page.count("<li><figure>") == wrong
    assert '[4, 1]], "color"' in page  # four people have four ranks
    assert "Cumulative match characteristic" in page and "not in the gallery" in page


def test_unlabelled_probes(network, faces, gallery, tmp_path):
    result = identify(gallery, faces / "test", model=network, out=tmp_path)
    assert result.metrics == {} and result.threshold is None
    assert set(result.answers["answer"]) <= set(gallery.names)
    assert {path.name for path in tmp_path.iterdir()} == {"answers.csv", "report.html"}
    page = (tmp_path / "report.html").read_text()
    assert "8 probes were compared with 4 people" in page and ">Answers</h2>" in page
    assert "All metrics" not in page
    # A picture is most like itself.
    same = identify(gallery, faces / "train", model=network, threshold=1.0)
    assert same.metrics["rank1"] == 1
    assert ((same.answers["answer"] != "") == (same.answers["score"] >= 1)).all()
    with pytest.raises(ValueError, match=r"number in \[-1, 1\]\. Received: threshold=1\.1"):
        identify(gallery, faces / "train", model=network, threshold=1.1)


def test_stored_threshold_decides_the_flip(run, network, faces, gallery, point, tmp_path):
    own = kerasface.Run(shutil.copytree(run.folder, tmp_path / "run"))
    write_operating_point(own, point)
    result = identify(faces / "train", faces / "test", model=own)
    assert result.threshold == 0.5
    mirrored = identify(faces / "train", faces / "test", model=network, flip=True)
    assert mirrored.threshold is None
    np.testing.assert_allclose(result.answers["score"], mirrored.answers["score"], atol=1e-6)
    with pytest.raises(ValueError, match="flip=True for a gallery with flip=False"):
        identify(gallery, faces / "test", model=network, flip=True)
    gallery.save(tmp_path / "people.npz")
    with pytest.warns(UserWarning, match="made with flip=False for a threshold with flip=True"):
        saved = identify(tmp_path / "people.npz", faces / "test", model=network, threshold=point)
    assert saved.threshold == 0.5
    settings = dataclasses.replace(point.settings, model="another")
    other = dataclasses.replace(point, settings=settings)
    with pytest.raises(ValueError, match="other weights than those of a threshold"):
        identify(gallery, faces / "test", model=network, threshold=other)


def test_probes_in_the_gallery_are_reported(network, faces):
    with pytest.warns(UserWarning, match="8 of 8 probes are also in the gallery"):
        identify(faces / "train", identity_folder(faces / "train").take(range(8)), model=network)


def test_crop_is_that_of_gallery_or_threshold(network, faces, point, tmp_path):
    cut = enroll(faces / "train", model=network, crop=Crop(0.5, shape="image"))
    assert cut.settings.crop == Crop(0.5, shape="image")
    cut.save(tmp_path / "cut.npz")
    result = identify(tmp_path / "cut.npz", faces / "test", model=network)
    vectors = embed(faces / "test", model=network, crop=Crop(0.5, shape="image"))
    np.testing.assert_allclose(
        result.answers["score"], (vectors @ cut.embeddings.T).max(axis=1), atol=1e-6
    )
    with pytest.raises(ValueError, match=r"share=0\.6.* for a gallery with crop=.*share=0\.5"):
        identify(cut, faces / "test", model=network, crop=Crop(0.6, shape="image"))
    # A new gallery is made as the threshold was.
    settings = dataclasses.replace(point.settings, flip=False, crop=Crop(0.5, shape="image"))
    known = dataclasses.replace(point, settings=settings)
    same = identify(faces / "train", faces / "test", model=network, threshold=known)
    np.testing.assert_allclose(same.answers["score"], result.answers["score"], atol=1e-6)
    whole = Crop(shape="image")
    with pytest.warns(UserWarning, match=r"share=1\.0.* for a threshold with.*share=0\.5"):
        identify(faces / "train", faces / "test", model=network, threshold=known, crop=whole)


def test_probes_beside_folders_of_people_are_refused(network, faces, gallery, tmp_path):
    mixed = shutil.copytree(faces / "dev", tmp_path / "mixed")
    (mixed / "nobody").mkdir()
    assert len(identify(gallery, mixed, model=network).answers) == 12
    shutil.copy(next((mixed / "p0001").iterdir()), mixed / "loose.png")
    with pytest.raises(ValueError, match=r"both, for instance 'loose\.png'.*Separate them"):
        identify(gallery, mixed, model=network)


def test_gallery_is_saved(network, faces, gallery, tmp_path):
    with pytest.warns(UserWarning, match="probes are also in the gallery"):
        identify(
            faces / "train",
            identity_folder(faces / "train"),
            model=network,
            save_gallery=tmp_path / "kept.npz",
        )
    np.testing.assert_array_equal(
        load_gallery(tmp_path / "kept.npz").embeddings, gallery.embeddings
    )
    with pytest.raises(ValueError, match=r"must end with \.npz"):
        identify(gallery, faces / "test", model=network, save_gallery="people.pickle")
