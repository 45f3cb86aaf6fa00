"""Groups of images: how they are read, and results by group."""

import numpy as np
import pandas as pd
import pytest

from kerasface.data import FaceTable, read_celeba
from kerasface.inference.evaluation import evaluate
from kerasface.inference.groups import read_groups
from kerasface.metrics.groups import attributes_by_group

TABLE = FaceTable("faces", ["a/1.jpg", "b/2.jpg", "b/3.jpg"])
AGES = pd.DataFrame({"image": ["b/3.jpg", "b/2.jpg", "a/1.jpg", "x.jpg"], "age": list("zyxw")})


def test_groups_of_a_frame_and_of_a_file(tmp_path):
    AGES.to_csv(tmp_path / "ages.csv", index=False)
    short = AGES.assign(image=[name.split("/")[-1] for name in AGES["image"]])
    for groups in (AGES, AGES.set_index("image"), tmp_path / "ages.csv", short):
        assert read_groups(groups, TABLE)["age"].tolist() == ["x", "y", "z"]


def test_groups_of_celeba(celeba_folder):
    tables = read_celeba(celeba_folder, attributes=["Beard", "Smiling"])
    names = ["Smiling", "Beard"]
    of_labels = read_groups(names, tables.test)
    plain = FaceTable(tables.test.root, tables.test.paths)
    pd.testing.assert_frame_equal(of_labels, read_groups(names, plain))
    assert (of_labels["Smiling"] == "yes").tolist() == (tables.test.labels[:, 1] == 1).tolist()
    with pytest.raises(ValueError, match=r"an attribute in list_attr.*'Smilling'.*'Smiling'"):
        read_groups("Smilling", plain)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (AGES.iloc[1:], r"Received: 1 of 3 images that are not in the DataFrame.*'b?/?3\.jpg'"),
        (pd.concat([AGES, AGES]), "two rows for 'b/3.jpg'"),
        (AGES[["image"]], "without a column of groups"),
        (["Male"], "no list_attr_celeba file in or above 'faces'"),
        ([], "one row per image, or attributes"),
    ],
)
def test_groups_that_do_not_fit(groups, message):
    with pytest.raises(ValueError, match=message):
        read_groups(groups, TABLE)


def test_too_many_groups_and_no_file():
    table = FaceTable("faces", [f"{place}.jpg" for place in range(21)])
    frame = pd.DataFrame({"path": table.paths, "name": np.arange(21)})
    with pytest.raises(ValueError, match=r"at most 20 values\. Received: 21 in the column 'name'"):
        read_groups(frame, table)
    with pytest.raises(FileNotFoundError, match=r"'ages\.csv', which does not exist"):
        read_groups("ages.csv", table)


def test_attributes_are_evaluated_by_group(attribute_run, celeba_folder, tmp_path):
    result = evaluate(attribute_run, celeba_folder, out=tmp_path / "out", groups=["Beard"])
    frame = result.predictions
    labels, probabilities = (
        frame[[f"{key}:{name}" for name in attribute_run.names]].to_numpy() for key in ("true", "p")
    )
    groups = pd.DataFrame({"Beard": np.where(frame["true:Beard"] == 1, "yes", "no")})
    expected = attributes_by_group(labels, probabilities, attribute_run.names, groups)
    pd.testing.assert_frame_equal(result.by_group, expected)
    written = pd.read_csv(tmp_path / "out" / "by_group.csv")
    pd.testing.assert_frame_equal(written, expected)
    assert "Beard: yes" in result.page.read_text()
