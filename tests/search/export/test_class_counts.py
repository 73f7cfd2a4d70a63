"""Files of class counts are read in each form, and refused in one sentence."""

from __future__ import annotations

import json
import time

import pytest

from search.export.class_counts import ClassCounts, CountsFileError, read_counts
from spaces.errors import UserError


@pytest.mark.parametrize(
    ("text", "counts", "names"),
    (
        ("[500, 20, 3]", (500, 20, 3), None),
        ('{"cat": 5, "dog": 3.0}', (5, 3), ("cat", "dog")),
        ("5\n3\n", (5, 3), None),
        ("name,count\r\ncat,5\r\n\r\n# rare\r\ndog , 3", (5, 3), ("cat", "dog")),
        ('"cat, big",5\ndog,3\n', (5, 3), ("cat, big", "dog")),
        ("label;n\ncat;5\ndog, small;3\n", (5, 3), ("cat", "dog, small")),
        ("class\tnum_images\ncat\t5\ndog\t3\n", (5, 3), ("cat", "dog")),
        ("Klasse,Anzahl Bilder\na;b,5\nc;d,3\n", (5, 3), ("a;b", "c;d")),
        ("0,5\n1,6\n10,7\n2,8\n", (5, 6, 8, 7), ("0", "1", "2", "10")),
        ("10.0,5\n-1.0,6\n2.0,7\n", (6, 7, 5), ("-1.0", "2.0", "10.0")),
        ("10.5,5\n2.0,7\n", (5, 7), ("10.5", "2.0")),
        (f"{2 * 10**17},5\n{10**17},7\n", (7, 5), (str(10**17), str(2 * 10**17))),
        ('{"0": 5, "1": 6, "10": 7, "2": 8}', (5, 6, 8, 7), ("0", "1", "2", "10")),
    ),
)
@pytest.mark.parametrize("encoding", ("utf-8", "utf-8-sig", "utf-16"))
def test_counts_are_read_from_each_form(tmp_path, text, counts, names, encoding):
    path = tmp_path / "counts.txt"
    path.write_bytes(text.encode(encoding))
    read = read_counts(path)
    assert (read.counts, read.class_names) == (counts, names)


def test_what_was_read_is_said_and_a_header_is_shown(tmp_path):
    (tmp_path / "counts.csv").write_text("label,n\ncat,5\ndog,300\n")
    said = read_counts(tmp_path / "counts.csv").describe()
    assert said == "2 class counts from 5 to 300, below the header 'label,n'"
    assert ClassCounts((7, 2), None).describe() == "2 class counts from 2 to 7"
    assert ClassCounts((7,), None).describe() == "1 class count from 7 to 7"


@pytest.mark.parametrize("form", ("csv", "json"))
def test_60_000_named_classes_are_read_in_under_2_seconds(tmp_path, form):
    names = [f"species {index}" for index in range(60_000)]
    path = tmp_path / f"counts.{form}"
    text = json.dumps(dict.fromkeys(names, 7)) if form == "json" else ",7\n".join([*names, ""])
    path.write_text(text)
    before = time.process_time()
    assert read_counts(path).class_names == tuple(names)
    assert time.process_time() - before < 2


@pytest.mark.parametrize(
    ("text", "sentence"),
    (
        ("", "holds no class counts"),
        ("5\nfive\n", "line 2: got 'five'; must be a positive integer"),
        ("5\n\n0\n", "class 1 has 0 images; say what .* --zero-counts ignore, .* smallest"),
        ("a,5\nb,0\n", "class 'b' has 0 images; say what a class without images is"),
        ("cat,n/a\ndog,3\n", "line 1: got 'cat,n/a'"),
        ("a;b;5\n", "line 1: got 'a;b;5'"),
        ("\t5\na\t3\n", "line 1: got '5'"),
        ("x" * 200_000 + ",5\n", "is not a file of class counts: field larger"),
        ("5\n-3\n", "line 2: got '-3'"),
        ("5\n2.5\n", "line 2: got '2.5'"),
        ("5\n99999999999999999\n", "line 2: got '99999999999999999'"),
        ("5\n9999999999999999\n", r"class_counts\[1\]: got 9999999999999999"),
        ("a,b,5\n", "line 1: got 'a,b,5'"),
        (",5\n", "line 1: got ',5'"),
        ("a,5\n6\n", "line 2: got '6'; either every line has a class name or none"),
        ("5\na,6\n", "line 2: got 'a,6'; either every line"),
        ("a,5\na,6\n", "class 'a' appears 2 times"),
        ("5\ncount\n", "line 2: got 'count'"),
        ("[5,\n3,\n", "line 3: is not JSON"),
        ("[]", "must be a JSON list of counts or an object"),
        ("{}", "must be a JSON list of counts or an object"),
        ("[5, 0]", "class 1 has 0 images; say what a class without images is"),
        ("[0.0, false]", r"class_counts\[1\]: got False"),
        ("[NaN]", r"class_counts\[0\]: got nan"),
        ("[[5]]", r"class_counts: got shape \(1, 1\)"),
        ('{"a": 1, "a": 2}', "class 'a' appears 2 times"),
        ('{"a": {"b": 2}}', "class_counts"),
        ("[" * 100_000, "is not JSON"),
    ),
)
def test_a_bad_counts_file_is_refused_in_one_sentence(tmp_path, text, sentence):
    path = tmp_path / "counts.txt"
    path.write_text(text)
    with pytest.raises(CountsFileError, match=sentence) as caught:
        read_counts(path)
    assert "\n" not in str(caught.value)


def test_a_counts_file_that_is_missing_or_binary_is_named(tmp_path):
    with pytest.raises(UserError, match=r"missing.txt cannot be read"):
        read_counts(tmp_path / "missing.txt")
    (tmp_path / "image.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=r"image.txt is not text in UTF-8"):
        read_counts(tmp_path / "image.txt")
    (tmp_path / "scalar.json").write_text("5")
    with pytest.raises(CountsFileError, match="must be a JSON list"):
        read_counts(tmp_path / "scalar.json")


@pytest.mark.parametrize("text", ("a,5\nb,0\n", '{"a": 5, "b": 0}'))
def test_counts_of_0_are_read_where_they_are_allowed(tmp_path, text):
    path = tmp_path / "counts.txt"
    path.write_text(text)
    assert read_counts(path, zeros=True) == ClassCounts((5, 0), ("a", "b"))
    path.write_text("[0, 0]")
    with pytest.raises(CountsFileError, match="every class has 0 images"):
        read_counts(path, zeros=True)
