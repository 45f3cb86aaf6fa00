"""The verification submission of the course."""

import shutil

import pandas as pd
import pytest

from kerasface.inference import submit_matches


@pytest.fixture
def course(faces, tmp_path):
    """The competition's folders: three known people, pictures of four."""
    folder = tmp_path / "course"
    for name in ("p0000", "p0001", "p0002"):
        shutil.copytree(faces / "train" / name, folder / "known" / name)
    for name, source in (("unknown_dev", "dev"), ("unknown_test", "dev")):
        (folder / name).mkdir(parents=True)
        for person in sorted((faces / source).iterdir()):
            for path in sorted(person.iterdir()):
                shutil.copy(path, folder / name / f"{person.name}_{path.name}")
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
    for threshold in (-1.0, 0.99, 1.0):
        other = submit_matches(*folders, threshold=threshold, **dev)
        assert other.threshold == threshold
        assert other.dev_accuracy <= matches.dev_accuracy
    all_named = submit_matches(*folders, threshold=-1.0, no_match="nobody")
    assert (all_named.matched, all_named.dev_accuracy) == (1, None)


def test_refused_course_files(network, course, tmp_path):
    folders = (network, course / "known", course / "unknown_test", tmp_path / "out.csv")
    with pytest.raises(ValueError, match=r"needs a threshold.*dev_labels"):
        submit_matches(*folders)
    with pytest.raises(ValueError, match=r"number in \[-1, 1\]"):
        submit_matches(*folders, threshold=2)
    with pytest.raises(ValueError, match="must be given together"):
        submit_matches(*folders, dev=course / "unknown_dev")
    labels = course / "verification_dev.csv"
    options = {"dev": course / "unknown_dev", "dev_labels": labels}
    with pytest.raises(FileNotFoundError, match=r"none\.csv"):
        submit_matches(*folders, **{**options, "dev_labels": course / "none.csv"})
    with pytest.raises(ValueError, match=r"known person or.*Received: \['n000000'\]"):
        submit_matches(*folders, **options, no_match="nobody")
    rows = labels.read_text().splitlines()
    labels.write_text("\n".join(rows[:-1]))
    with pytest.raises(ValueError, match=r"11 labels .* for 12 images"):
        submit_matches(*folders, **options)
    labels.write_text("\n".join(["id,name", *rows[1:]]))
    with pytest.raises(ValueError, match="a column 'label'"):
        submit_matches(*folders, **options)
    assert not (tmp_path / "out.csv").exists()
