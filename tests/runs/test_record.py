"""Record of a run's images."""

import pandas as pd

from kerasface.data import check
from kerasface.runs.record import read_images, read_roots, same_images, write_images


def test_record_of_version_0_1_is_read(tables, tmp_path):
    given = {"train": tables[0], "validation": tables[1]}
    readable = {name: check(table).table for name, table in given.items()}
    write_images(tmp_path, given, readable)
    new = read_images(tmp_path)
    assert new["partition"].value_counts().to_dict() == {"train": 24, "validation": 12}
    assert read_roots(tmp_path)["train"] == str(tables[0].root)
    frame = pd.read_csv(tmp_path / "images.csv", dtype=str).rename(columns={"partition": "side"})
    frame.to_csv(tmp_path / "images.csv", index=False)
    pd.testing.assert_frame_equal(read_images(tmp_path), new)
    assert len(same_images(tmp_path, given)["validation"]) == 12
