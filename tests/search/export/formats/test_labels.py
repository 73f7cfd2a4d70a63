"""Files of labels are read in each form, counted, and refused in one sentence."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest

from search.export.class_counts import ClassCounts
from search.export.formats.labels import LabelsFileError, read_labels
from spaces.errors import UserError

NAMES = ("cat", "dog", "ant")


@pytest.mark.parametrize(
    ("text", "indices", "counts", "names", "images"),
    (
        ("0\n2\n0\n", [0, 2, 0], (2, 0, 1), None, None),
        ("[0, 1, 1]", [0, 1, 1], (1, 2), None, None),
        ('["dog", "cat"]', [1, 0], (1, 1, 0), NAMES, None),
        ("dog\ncat\n\ndog\n", [1, 0, 1], (1, 2, 0), NAMES, None),
        ("owl\nemu\nowl\n", [1, 0, 1], (1, 2), ("emu", "owl"), None),
        ("1234567890\n20\n", [0, 1], (1, 1), ("1234567890", "20"), None),
        ("2.5\n-1\n2.5\n", [1, 0, 1], (1, 2), ("-1", "2.5"), None),
        ('a.png,dog\n"b, c.png", cat\n', [1, 0], (1, 1, 0), NAMES, ("a.png", "b, c.png")),
        ("y\nn\ny\n", [1, 0, 1], (1, 2), ("n", "y"), None),
        ("image,label\na.png,01\nb.png,0\n", [1, 0], (1, 1), None, ("a.png", "b.png")),
    ),
)
def test_labels_are_read_from_each_form(tmp_path, text, indices, counts, names, images):
    path = tmp_path / "labels.txt"
    path.write_text(text)
    read = read_labels(path, NAMES)
    assert (read.indices, read.counts, read.images) == (indices, ClassCounts(counts, names), images)


@pytest.mark.parametrize("array", ([0, 2, 0], ["cat", "ant", "cat"]))
def test_labels_are_read_from_arrays(tmp_path, array):
    np.save(tmp_path / "labels.npy", np.array(array))
    read = read_labels(tmp_path / "labels.npy", NAMES)
    assert (read.indices, read.counts.counts) == ([0, 2, 0], (2, 0, 1))


def test_names_that_look_like_numbers_are_names_where_the_benchmark_has_them(tmp_path):
    (tmp_path / "labels.txt").write_text("1\n3\n")
    assert read_labels(tmp_path / "labels.txt", ("3", "1")).indices == [1, 0]


def test_what_was_read_is_said_and_a_header_is_shown(tmp_path):
    (tmp_path / "labels.txt").write_text("Label\ncat\nant\n")
    said = read_labels(tmp_path / "labels.txt", NAMES).describe()
    assert said == "2 labels of 3 classes, below the header 'Label'"


@pytest.mark.parametrize(
    ("text", "sentence"),
    (
        ("", "holds no labels"),
        ("label\n", "holds no labels"),
        ("[]", "holds no labels"),
        ("a.png,cat\ndog\n", "line 2: got 'dog'; every line must be a label, or every line an"),
        ("a,b,cat\n", "line 1: got 'a,b,cat'"),
        ("a.png,\n", "line 1: got 'a.png,'"),
        ("x" * 200_000, "is not a file of labels: field larger"),
        ("1000000\n0\n", "the label 1000000 is too large"),
        ("0\n10\n-1\n2\n", "the label -1 is not written as a whole number"),
        ("[3, -1]", "the label -1 is not written as a whole number"),
        ("2.0\n10.0\n", r"the label 10\.0 is not written as a whole number"),
        ("-1.0\n0.0\n1.0\n", r"the label -1\.0 is not written as a whole number"),
        ("+1\n-1\n", r"the label \+1 is not written as a whole number"),
        ("1.00e+01\n2.00e+00\n", r"the label 1\.00e\+01 is not written as a whole number"),
        ("0\nnan\n1\n", "the label nan is not written as a whole number"),
        ("a.png\tcat\nb.png\tdog\n", r"the label 'a\.png\\tcat' has characters that cannot be"),
        ("[0.5]", "must be a JSON list of whole numbers, or of names"),
        ("[true]", "must be a JSON list of whole numbers, or of names"),
        ("[0,", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
    ),
)
def test_a_bad_labels_file_is_refused_in_one_sentence(tmp_path, text, sentence):
    path = tmp_path / "labels.txt"
    path.write_text(text)
    with pytest.raises(LabelsFileError, match=sentence) as caught:
        read_labels(path, None)
    assert "\n" not in str(caught.value)


def test_a_bad_array_of_labels_is_refused(tmp_path):
    path = tmp_path / "labels.npy"
    with pytest.raises(UserError, match=r"labels.npy cannot be read"):
        read_labels(path, None)
    path.write_text("no array")
    with pytest.raises(LabelsFileError, match="is no array of numbers or words"):
        read_labels(path, None)
    for array in ([0.5, 1.0], [[0, 1]], [True]):
        np.save(path, np.array(array))
        with pytest.raises(LabelsFileError, match="must hold one whole number, or one name"):
            read_labels(path, None)


def test_100_000_labels_are_read_in_under_a_second(tmp_path):
    path = tmp_path / "labels.json"
    path.write_text(json.dumps([7, 3] * 50_000))
    before = time.process_time()
    assert read_labels(path, None).counts.counts == (0, 0, 0, 50_000, 0, 0, 0, 50_000)
    assert time.process_time() - before < 1
