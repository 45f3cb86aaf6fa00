"""Tests of the answers to commands in the form of version 0.1."""

import shlex

import pytest


@pytest.mark.parametrize(
    ("old", "present"),
    [
        ("verify run a.jpg b.jpg", "verify a.jpg b.jpg --model run"),
        (
            "verify run a.jpg b.jpg --threshold 0.4 --flip",
            "verify a.jpg b.jpg --threshold 0.4 --flip --model run",
        ),
        ("verify run --pairs p.csv --images d", "verify --pairs p.csv --images d --model run"),
        ("verify --images d net.keras", "verify --images d --model net.keras"),
        ("identify run --gallery g --probe p", "identify g p --model run"),
        ("identify run --probe=p --gallery=g --out o", "identify g p --out o --model run"),
        ("identify run g p", "identify g p --model run"),
        ("predict run photos --crop mtcnn", "predict run photos --detect --detector mtcnn"),
        ("crop a b --rule all", "crop a b --faces all"),
        ("predict --crop=mtcnn run p", "predict --detect --detector mtcnn run p"),
    ],
)
def test_old_form_is_answered_with_the_present_one(mistake, old, present):
    line = mistake(*shlex.split(old))
    assert f"Received: kerasface {old}. Use: kerasface {present}" in line


def test_present_forms_pass(shell, mistake):
    # These fail for other reasons than their form.
    for words in (
        *("verify a.jpg b.jpg", "verify a.jpg b.jpg --model run", "verify a.jpg"),
        *("identify g p", "identify g p --model=run"),
    ):
        assert "Use: kerasface" not in mistake(*words.split())
    for command in ("verify", "identify", "predict"):
        assert shell(command, "--help")[0] == 0
