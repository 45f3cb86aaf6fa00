"""Two pictures, and lists of pairs: metrics, files, the stored threshold."""

import dataclasses
import json
import shutil

import numpy as np
import pandas as pd
import pytest

import kerasface
from kerasface.data import folder_pairs, identity_folder, read_pairs
from kerasface.inference import (
    EmbeddingSettings,
    OperatingPoint,
    read_operating_point,
    verify_pairs,
)
from kerasface.inference.decision import decide
from kerasface.inference.embedding import embed
from kerasface.inference.operating_point import (
    operating_point_path,
    resolve_threshold,
    write_operating_point,
)
from kerasface.inference.vectors import embed_images
from kerasface.metrics import operating_points, verification
from kerasface.pipeline import Crop

WRITTEN = {
    "metrics.json",
    "operating_points.csv",
    "pairs.csv",
    "per_fold.csv",
    "probability.csv",
    "probability.png",
    "report.html",
    "roc.png",
    "scores.png",
    "worst_pairs.png",
}


@pytest.fixture(scope="module")
def strangers(tmp_path_factory):
    """Folder of five drawn people whom the run does not know, 5 pictures each."""
    folder = tmp_path_factory.mktemp("strangers") / "faces"
    drawn = kerasface.data.drawn_faces(
        folder, identities=5, train=5, dev=1, test=1, size=24, seed=9
    )
    for person in sorted((drawn / "train").iterdir()):
        person.rename(person.with_name(f"stranger {person.name}"))
    return drawn / "train"


@pytest.fixture
def own_run(run, tmp_path):
    """A copy of the run, to be written into."""
    return kerasface.Run(shutil.copytree(run.folder, tmp_path / "run"))


@pytest.fixture
def listed(strangers, tmp_path):
    """The CSV list of all their genuine pairs and 100 impostor pairs, in two folds."""
    pairs = folder_pairs(identity_folder(strangers), impostors=100)
    frame = pairs.to_frame().assign(fold=np.arange(150) % 2)
    frame.to_csv(tmp_path / "list.csv", index=False)
    return tmp_path / "list.csv"


def test_pairs_of_a_list(own_run, strangers, listed, monkeypatch):
    embedded = []

    def counting(method, images, **options):
        embedded.extend(images.names)
        return embed_images(method, images, **options)

    monkeypatch.setattr("kerasface.inference.pair_verification.embed_images", counting)
    names = [f"{path.parent.name}/{path.name}" for path in strangers.glob("*/*")]
    groups = pd.DataFrame({"side": [name < "stranger p0003" for name in names]}, index=names)
    result = verify_pairs(listed, strangers, model=own_run, flip=True, bootstrap=20, groups=groups)
    assert len(embedded) == len(set(embedded)) == 25  # each image once
    table = read_pairs(listed, strangers)
    vectors = embed(table.images, model=own_run, flip=True)
    scores = (vectors[table.rows[:, 0]] * vectors[table.rows[:, 1]]).sum(axis=1)
    np.testing.assert_allclose(result.scores, scores, atol=1e-5)
    expected = verification.evaluate(
        result.scores, table.same, folds=table.folds, people=table.people, bootstrap=20
    )
    assert result.metrics.items() >= expected.metrics.items()
    assert result.resampled == "people"
    rates = result.by_group.set_index("group")
    assert rates.index.tolist() == ["all", "side: False", "side: True"]
    assert rates.loc["all", "tar"] == pytest.approx(result.operating_point.tar)
    assert rates["genuine"].tolist() == [50, 20, 30]

    folder = own_run.folder / "verification" / "list"
    assert result.folder == folder
    assert {path.name for path in folder.iterdir()} == WRITTEN | {"by_group.csv"}
    assert json.loads((folder / "metrics.json").read_text()) == pytest.approx(result.metrics)
    frame = pd.read_csv(folder / "pairs.csv")
    np.testing.assert_allclose(frame["score"], result.scores, rtol=1e-6)
    page = (folder / "report.html").read_text()
    for words in (
        "Worst pairs",
        "over people",
        "accepts 10.00% of 100 impostor pairs",
        "at least ten false accepts are expected",
        "The balanced accuracy is",
        "Calibration of the probability",
        "side: True",
    ):
        assert words in page

    point = read_operating_point(own_run)
    assert point == result.operating_point
    assert point.threshold == operating_points.threshold_at_far(result.scores, table.same, 0.1)
    assert (point.far, point.impostor_pairs, point.pairs) == (0.1, 100, "list")
    assert point.settings.flip and point.settings.crop is None
    assert point.far_low < 0.1 < point.far_high and point.people == 5
    slope, intercept = point.calibration
    assert slope == result.metrics["probability_slope"]

    # Two pictures, by the threshold that was stored, mirrored as it was made.
    for row in (0, 60, 149):
        files = [strangers / table.images.paths[place] for place in table.rows[row]]
        decision = kerasface.verify(*files, model=own_run.folder)
        assert decision.similarity == pytest.approx(float(scores[row]), abs=1e-5)
        assert decision.same == (decision.similarity >= point.threshold)
        assert bool(decision) is decision.same
        assert (decision.threshold, decision.far) == (point.threshold, 0.1)
        assert (decision.far_low, decision.far_high) == (point.far_low, point.far_high)
        assert decision.measured_on == "list: 100 pairs of different people, 5 people"
        odds = np.exp(slope * decision.similarity + intercept)
        assert decision.probability == pytest.approx(odds / (1 + odds))
    by_hand = kerasface.verify(*files, model=own_run, threshold=-1.0)
    assert by_hand.same and by_hand.far is None and by_hand.threshold == -1
    assert by_hand.probability is None and by_hand.measured_on == ""
    assert by_hand.similarity != pytest.approx(decision.similarity, abs=1e-6)  # not mirrored
    given = kerasface.verify(*files, model=kerasface.embedder(own_run), threshold=point)
    assert given == decision
    from_file = kerasface.verify(
        *files, model=kerasface.embedder(own_run), threshold=own_run.path("verifier.json")
    )
    assert from_file == decision
    # The model in the run's folder is the run.
    assert kerasface.verify(*files, model=own_run.path("model.keras")) == decision


def test_false_accept_rate_holds_for_one_way_to_embed(own_run, strangers, listed):
    result = verify_pairs(
        listed, strangers, model=own_run, crop=Crop(0.7, shape="image"), bootstrap=5
    )
    table = read_pairs(listed, strangers)
    vectors = embed(table.images, model=own_run, crop=Crop(0.7, shape="image"))
    scores = (vectors[table.rows[:, 0]] * vectors[table.rows[:, 1]]).sum(axis=1)
    np.testing.assert_allclose(result.scores, scores, atol=1e-5)
    files = [strangers / table.images.paths[place] for place in table.rows[0]]
    decision = kerasface.verify(*files, model=own_run)
    assert decision.similarity == pytest.approx(float(scores[0]), abs=1e-5)
    assert decision.far == result.operating_point.far
    for changes in ({"flip": True}, {"crop": Crop(shape="image")}):
        with pytest.warns(UserWarning, match=r"false accept rate of .* does not hold"):
            other = kerasface.verify(*files, model=own_run, **changes)
        assert other.far is None and other.threshold == decision.threshold


def test_model_file_in_a_run_folder_is_the_run(own_run, strangers, listed):
    recipe = own_run.recipe.replace(crop_share=0.6)
    own_run.path("recipe.json").write_text(recipe.to_json())
    file = own_run.path("model.keras")
    of_run, of_file = (
        verify_pairs(listed, strangers, model=source, bootstrap=5)
        for source in (own_run.folder, file)
    )
    np.testing.assert_array_equal(of_run.scores, of_file.scores)
    assert of_file.operating_point.settings.crop == Crop(0.6, shape="image")
    assert not np.allclose(
        of_run.scores,
        verify_pairs(
            listed, strangers, model=shutil.copy(file, file.with_name("copy.keras")), bootstrap=5
        ).scores,
    )
    assert operating_point_path(file) == own_run.path("verifier.json")


def test_wanted_false_accept_rate(own_run, strangers, listed):
    result = verify_pairs(listed, strangers, model=own_run, far=0.25, bootstrap=5)
    assert result.operating_point.far <= 0.25
    assert "tar_at_far_0.25" in result.metrics
    with pytest.raises(ValueError, match="5 expected false accepts, fewer than 10"):
        verify_pairs(listed, strangers, model=own_run, far=0.05)


def test_threshold_of_a_file_is_stored_beside_it(own_run, strangers, tmp_path):
    file = shutil.copy(own_run.path("model.keras"), tmp_path / "net.keras")
    pairs = folder_pairs(identity_folder(strangers), impostors=100)
    result = verify_pairs(pairs, model=file, bootstrap=5)
    assert result.folder is None
    assert read_operating_point(file) == result.operating_point
    assert (tmp_path / "net.verifier.json").is_file()
    files = [pairs.images.full_paths()[row] for row in pairs.rows[0]]
    kerasface.verify(*files, model=file)
    point = read_operating_point(file)
    settings = dataclasses.replace(point.settings, model="other weights")
    write_operating_point(file, dataclasses.replace(point, settings=settings))
    with pytest.raises(ValueError, match="other weights than those of a threshold"):
        kerasface.verify(*files, model=file)
    (tmp_path / "net.verifier.json").write_text("{}")
    with pytest.raises(ValueError, match=r"net\.verifier\.json.*Run `kerasface verify` again"):
        read_operating_point(file)
    model = kerasface.embedder(own_run)
    result = verify_pairs(pairs, model=model, out=tmp_path / "out", bootstrap=5)
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == WRITTEN | {"verifier.json"}  # the model is in no file
    assert isinstance(result.operating_point, OperatingPoint)


@pytest.mark.parametrize(
    ("crop", "expected"),
    [
        (None, None),
        ("middle:0.8", Crop(0.8, shape="image")),
        ("center_square", Crop()),
        ('{"share": 0.5, "shape": "image", "position": "center"}', Crop(0.5, shape="image")),
    ],
)
def test_stored_threshold_of_older_versions_is_read(own_run, crop, expected):
    values = {"threshold": 0.4, "far": 0.01, "tar": 0.8, "impostor_pairs": 1000, "pairs": "list"}
    values |= {"flip": True, "crop": crop, "model": "b3a1"}
    own_run.path("verifier.json").write_text(json.dumps(values))
    point = read_operating_point(own_run)
    assert point.threshold == 0.4
    assert point.settings == EmbeddingSettings(expected, True, "b3a1")
    write_operating_point(own_run, point)
    assert read_operating_point(own_run) == point
    assert point.calibration is point.far_low is point.far_high is None
    assert point.probability(0.5) is None
    decision = decide(0.5, point.threshold, point)
    assert (decision.far, decision.far_low, decision.probability) == (0.01, None, None)


@pytest.mark.parametrize("threshold", [float("nan"), 1.01, -2, True, "a.json"])
def test_impossible_thresholds_are_refused(own_run, point, threshold):
    if threshold == "a.json":
        with pytest.raises(FileNotFoundError, match=r"a number, or a file .* 'a.json', which does"):
            kerasface.verify("a.jpg", "b.jpg", model=own_run, threshold=threshold)
        return
    with pytest.raises(ValueError, match=r"`threshold` must be a number in \[-1, 1\]"):
        kerasface.verify("a.jpg", "b.jpg", model=own_run, threshold=threshold)
    with pytest.raises(ValueError, match=r"`threshold` must be a number in \[-1, 1\]"):
        dataclasses.replace(point, threshold=threshold)


@pytest.mark.parametrize(
    "changes", [{"far": 1.5}, {"far_low": float("nan")}, {"calibration": (float("nan"), 0.0)}]
)
def test_impossible_rates_are_refused(point, changes):
    with pytest.raises(ValueError, match=f"{next(iter(changes))}.* must be a number in"):
        dataclasses.replace(point, **changes)


def test_false_accept_rates_of_runs_are_stored_ones(own_run):
    with pytest.raises(ValueError, match=r"Only a pretrained network.*far=0\.01.*verify_pairs"):
        resolve_threshold(own_run, far=0.01)
    with pytest.raises(ValueError, match=r"Either a threshold or.*threshold=0\.5 and far=0\.01"):
        resolve_threshold(own_run, 0.5, far=0.01)


def test_too_few_impostors_store_nothing(own_run, strangers):
    result = verify_pairs(model=own_run, images=strangers, bootstrap=5)
    assert result.metrics["genuine"] == result.metrics["impostor"] == 50
    assert result.operating_point is None and read_operating_point(own_run) is None
    assert result.folder.name == "train"
    page = (result.folder / "report.html").read_text()
    assert "No threshold was stored: there are too few impostor pairs" in page
    with pytest.raises(ValueError, match=r"needs a threshold.*Run\(.*verify_pairs.*threshold="):
        kerasface.verify("a.jpg", "b.jpg", model=own_run)


def test_known_people_are_refused(run, faces, tmp_path):
    seen = folder_pairs(identity_folder(faces / "train"))
    with pytest.raises(ValueError, match=r"24 of 24 images and 4 people of the same name.*'p0000'"):
        verify_pairs(seen, model=run)
    new = folder_pairs(identity_folder(faces / "dev"))
    with pytest.raises(ValueError, match=r"0 of 12 images and 4 people.*--allow-seen"):
        verify_pairs(new, model=run)
    # Enough pairs for a threshold, which would be one of people that it knows.
    many = folder_pairs(identity_folder(faces / "train"), impostors=100)
    with pytest.warns(UserWarning, match="so the metrics are biased"):
        result = verify_pairs(many, model=run, out=tmp_path, allow_seen=True, bootstrap=5)
    assert result.operating_point is None and read_operating_point(run) is None
    assert result.not_stored == "some of the people or images are in the training set"


def test_people_of_first_weights_are_refused(run, own_run, faces):
    recipe = own_run.recipe.replace(weights=str(run.path("model.keras")))
    own_run.path("recipe.json").write_text(recipe.to_json())
    classes = own_run.path("classes.json")
    classes.write_text(classes.read_text().replace("p000", "q000"))
    with pytest.raises(ValueError, match=r"0 of 12 images and 4 people of the same name.*'p0000'"):
        verify_pairs(model=kerasface.Run(own_run.folder), images=faces / "dev")


def test_refused_pairs(run, strangers):
    with pytest.raises(ValueError, match="Pairs need the folder"):
        verify_pairs(model=run)
    with pytest.raises(ValueError, match="already has its images"):
        verify_pairs(folder_pairs(identity_folder(strangers)), strangers, model=run)
