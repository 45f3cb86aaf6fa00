"""Tests of the commands that compare faces: verify, identify and match."""

import json
import re
import shutil

import pandas as pd
import pytest

import kerasface
from kerasface.data import identity_folder


@pytest.fixture
def strangers(tmp_path):
    """Folder of five drawn people whom the run does not know, 5 pictures each."""
    drawn = kerasface.data.drawn_faces(
        tmp_path / "drawn", identities=5, train=5, dev=1, test=1, size=24, seed=9
    )
    for person in sorted((drawn / "train").iterdir()):
        person.rename(person.with_name(f"stranger {person.name}"))
    return drawn / "train"


def test_verify_and_identify(shell, mistake, run, strangers, tmp_path):
    own = shutil.copytree(run.folder, tmp_path / "run")
    first, second, *_ = sorted((strangers / "stranger p0000").iterdir())
    assert "needs a threshold" in mistake("verify", first, second, "--model", own)
    table = kerasface.data.folder_pairs(identity_folder(strangers), impostors=100)
    table.to_frame().to_csv(tmp_path / "list.csv", index=False)
    words = ["verify", "--model", own, "--pairs", tmp_path / "list.csv", "--images", strangers]
    sides = pd.DataFrame({"image": table.images.paths})
    sides["side"] = ["left" if path < "stranger p0003" else "right" for path in sides["image"]]
    sides.to_csv(tmp_path / "sides.csv", index=False)
    code, out, err = shell(*words, "--flip", "--far", 0.2, "--groups", tmp_path / "sides.csv")
    assert (code, err) == (0, "")
    stored = json.loads((own / "verifier.json").read_text())
    assert stored["flip"] and stored["far"] <= 0.2
    for line in (
        "eer ",
        "majority_accuracy ",
        "balanced_accuracy ",
        "side: left ",
        f"It is in {own / 'verifier.json'}",
        "tar_at_far_0.2 ",
        "No TAR at FAR 0.01: 0.01 of 100 impostor pairs are 1 expected false accepts",
        "Confidence intervals: bootstrap over people.",
        f"Stored threshold: {stored['threshold']:.4f}, false accept rate {stored['far']:.2%}",
        f"Report: {own / 'verification' / 'list' / 'report.html'}",
    ):
        assert line in out
    code, out, err = shell("verify", first, second, "--model", own)
    assert (code, err) == (0, "")
    decision = kerasface.verify(first, second, model=own)
    word = "same person" if decision.same else "different people"
    assert out.startswith(f"{word}: similarity {decision.similarity:.4f}, threshold")
    assert f"false accept rate of the threshold {stored['far']:.2%}" in out
    assert "Threshold measured on list: 100 pairs of different people, 5 people" in out
    assert "two images are needed. Received: 1." in mistake("verify", first, "--model", own)
    assert "`--pairs` has no effect with two images" in mistake(
        "verify", first, second, "--model", own, "--pairs", "x.csv"
    )
    assert "`--threshold` has no effect without two images" in mistake(*words, "--threshold", 0.5)
    assert "fewer than 10" in mistake(*words, "--far", 0.01)

    gallery = tmp_path / "people.npz"
    words = [strangers, "--model", own, "--out", tmp_path / "found", "--flip"]
    code, out, err = shell("identify", strangers, *words, "--save-gallery", gallery)
    assert code == 0 and err.startswith("Warning: 25 of 25 probes are also in the gallery")
    assert re.search(r"^rank1 +1\.0000$", out, re.MULTILINE)
    assert f"Faces with a similarity below {stored['threshold']:.4f} are unknown." in out
    assert (tmp_path / "found" / "cmc.png").is_file()
    again = ["identify", gallery, *words, "--threshold", 1, "--count", 2]
    assert "which holds files" in mistake(*again)
    code, again, _ = shell(*again, "--overwrite")
    assert code == 0 and "Faces with a similarity below 1.0000 are unknown." in again
    assert "people.npz" in mistake("identify", tmp_path / "no people.npz", *words, "--overwrite")


def test_match(shell, mistake, run, faces, tmp_path):
    words = ["match", run.folder, "--known", faces / "train", "--unknown", faces / "test"]
    assert "Give threshold=" in mistake(*words)
    out = tmp_path / "matches.csv"
    code, told, err = shell(*words, "--threshold", 0.999, "--no-match", "nobody", "--out", out)
    assert (code, err) == (0, "")
    frame = pd.read_csv(out, dtype=str)
    assert frame["id"].tolist() == [str(place) for place in range(8)]
    assert set(frame["label"]) <= {"nobody", "p0000", "p0001", "p0002", "p0003"}
    share = (frame["label"] != "nobody").mean()
    assert f"{share:.1%} have a match at threshold 0.9990" in told
    labels = tmp_path / "dev.csv"
    pd.DataFrame({"label": ["p0000"] * 8}).to_csv(labels, index=False)
    dev = ["--dev", faces / "test", "--dev-labels", labels]
    assert "which exists" in mistake(*words, *dev, "--out", out)
    code, told, _ = shell(*words, *dev, "--out", out, "--overwrite")
    assert code == 0 and "Development accuracy " in told


@pytest.mark.parametrize(
    ("words", "fragment"),
    [
        ("verify a.jpg b.jpg --model run --batch-size 8", "`--batch-size` has no effect with two"),
        ("verify a.jpg b.jpg --model run --images faces", "`--images` has no effect with two"),
        ("verify a.jpg b.jpg --overwrite", "`--overwrite` has no effect without --picture"),
        ("verify --model run --images faces --picture p.png", "`--picture` has no effect without"),
        ("verify a.jpg b.jpg --model run --out found", "`--out` has no effect with two"),
        ("verify a.jpg b.jpg --model run --allow-seen", "`--allow-seen` has no effect with two"),
        ("verify a.jpg b.jpg c.jpg --model run", "two images are needed. Received: 3."),
        ("verify --model run", "Give two images, or --images"),
        ("verify --model run --images faces --overwrite", "`--overwrite` has no effect without"),
        ("evaluate run --data faces --overwrite", "`--overwrite` has no effect without --out"),
        ("identify g p --model run --save-gallery g.csv", "must end in .npz"),
    ],
)
def test_options_without_effect_are_refused(mistake, words, fragment):
    assert fragment in mistake(*words.split())
