"""Class counts of an own training: every form that is read, and every fault that is named."""

from collections import Counter
from pathlib import Path

import numpy as np
import pandas
import pytest

from spaces.errors import UserError
from trainer.own.class_counts import (
    OwnCounts,
    class_counts_of,
    counts_text,
    own_counts,
    read_own_counts,
    whole_counts,
)

PLAIN = OwnCounts((50, 20, 3), {}, None)
NAMED = OwnCounts((50, 20, 3), {}, ("cat", "dog", "fox"))
RED = ("cat", "dog", "fox, red")
TESTED = OwnCounts((50, 20, 3), {"test": (9, 8, 7)}, ("cat", "dog", "fox"))


@pytest.mark.parametrize(
    ("name", "text", "read"),
    (
        ("a.csv", "50\n20\n3\n", PLAIN),
        ("a.csv", "train\n50\n\n# a remark\n20\n3\n", PLAIN),
        ("a.csv", "cat,50\ndog,20\nfox,3\n", NAMED),
        ("a.csv", "class,train,test\ncat,50,9\ndog,20,8\nfox,3,7\n", TESTED),
        ("a.csv", "test, Class, train\n9,cat,50\n8,dog,20\n7,fox,3\n", TESTED),
        ("a.csv", '"cat, small",50\ndog,20\nfox,3\n', None),
        ("a.csv", "class;train;test\ncat;50;9\ndog;20;8\nfox;3;7\n", TESTED),
        ("a.csv", "cat\t50\ndog\t20\nfox, red\t3\n", OwnCounts(PLAIN.train, {}, RED)),
        ("a.csv", "class,train\n2,3\n0,50\n1,20\n", OwnCounts((50, 20, 3), {}, ("0", "1", "2"))),
        ("a.json", "[50, 20, 3]", PLAIN),
        ("a.json", '{"cat": 50, "dog": 20, "fox": 3}', NAMED),
        (
            "a.json",
            '{"class": ["cat", "dog", "fox"], "train": [50, 20, 3], "test": [9, 8, 7]}',
            TESTED,
        ),
        (
            "a.csv",
            "train,validation,test\n50,2,9\n20,2,8\n3,2,7\n",
            OwnCounts((50, 20, 3), {"validation": (2, 2, 2), "test": (9, 8, 7)}),
        ),
    ),
)
def test_every_form_of_a_file_is_read(
    name: str, text: str, read: OwnCounts | None, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_text(text)
    found = read_own_counts(path)
    assert found == (read or OwnCounts((50, 20, 3), {}, ("cat, small", "dog", "fox")))


@pytest.mark.parametrize(
    ("given", "read"),
    (
        (np.array([50, 20, 3]), PLAIN),
        ([np.int64(50), 20, 3], PLAIN),
        (Counter(["fox"] * 3 + ["cat"] * 2), OwnCounts((3, 2), {}, ("fox", "cat"))),
        (Counter([1] * 3 + [0] * 7), OwnCounts((7, 3), {}, ("0", "1"))),
        (pandas.Series([2, 0, 2]).value_counts().add(1), OwnCounts((2, 3), {}, ("0", "2"))),
        (pandas.Series([1, 1, 0, None]).value_counts(), OwnCounts((1, 2), {}, ("0", "1"))),
        (pandas.Series([50, 20, 3]), PLAIN),
        (pandas.Series({"a": 3, "b": 5}), OwnCounts((3, 5), {}, ("a", "b"))),
        ({"train": [50, 20, 3], "half_a": [1, 1, 1], "half_b": [2, 2, 2]}, None),
    ),
)
def test_pythons_values_are_read_and_written_as_text(given: object, read: OwnCounts | None) -> None:
    halves = {"half_a": (1, 1, 1), "half_b": (2, 2, 2)}
    found = own_counts(given)
    assert found == (read or OwnCounts((50, 20, 3), halves))
    text = counts_text(given)
    assert text is not None
    assert class_counts_of(whole_counts(text)) == found


def test_a_file_is_text_by_its_name_and_whole_by_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert counts_text(None) is None
    assert counts_text(Path("a.csv")) == counts_text("a.csv") == "a.csv"
    assert whole_counts("a.csv") == str(tmp_path / "a.csv")


def test_values_that_are_no_counts_name_the_argument() -> None:
    with pytest.raises(UserError, match=r"^class_counts: class 1: train is 0; it must be"):
        counts_text([5, 0])
    with pytest.raises(UserError, match=r"^class_counts: class 0: train is '1+ \.\.\.; it must be"):
        counts_text(["1" * 5000, 5])
    ranked = pandas.Series([1, 1, 0]).value_counts()
    with pytest.raises(
        UserError, match=r"^class_counts: test: the counts have labels of their own"
    ):
        counts_text({"train": [5, 6], "test": ranked})
    with pytest.raises(UserError, match=r"^class_counts: class counts: got    train 0      5 1"):
        counts_text(pandas.DataFrame({"train": [5, 6]}))
    with pytest.raises(UserError, match=r"labels 'fox', 'cat', \.\.\. are in no order, as those"):
        counts_text(pandas.Series(["cat", "fox", "fox"]).value_counts())
    assert own_counts({"1" * 5000: 5, "02": 6}).train == (6, 5), "in the order of the numbers"


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    (
        ("a.csv", "# nothing\n", ": holds no class counts; write a header"),
        ("a.csv", "cat,50\ndog\n", ", line 2: has 1 column, not the 2 of class,train"),
        ("a.csv", "cat,50\ndog,0\n", ", line 2: train is '0'; it must be a whole number"),
        ("a.csv", "cat,50\ndog,-2\n", ", line 2: train is '-2'"),
        ("a.csv", "class,train,test\ncat,5,1\ndog,4,1.5\n", ", line 3: test is '1.5'"),
        ("a.csv", "class,train,half_a\ncat,5,1\n", ": the columns are class,train,half_a; write"),
        ("a.csv", "class,train,train\ncat,5,1\n", ": the columns are class,train,train; write"),
        ("a.csv", "class,test\ncat,5\n", ": the columns are class,test; write"),
        ("a.csv", "class,train,images\ncat,5,5\n", ": the columns are class,train,images; write"),
        ("a.csv", "cat,5\ncat,4\n", ": 'cat' appears 2 times; name each once."),
        ("a.json", '{"cat": 5, "cat": 4, "dog": 3}', ": 'cat' appears 2 times; name each once."),
        ("a.json", '{"train": [5, 4], "train": [5, 3]}', ": 'train' appears 2 times; name each"),
        ("a.json", "[5, 4", ", line 1: is not JSON"),
        ("a.json", "7", ": class counts: got 7; must be a list of numbers"),
        ("a.json", "[5, true]", ": class 1: train is True; it must be"),
        ("a.json", '{"train": [5, 4], "test": [1]}', ": columns have [1, 2] entries"),
        ("a.json", "[" * 100_000, " is nested too deeply"),
        ("a.json", f"[{'1' * 5000}]", " is not a file of class counts: Exceeds the limit"),
        ("a.csv", "1" * 5000, ", line 1: train is '1111"),
        ("absent.csv", None, " cannot be read"),
    ),
)
def test_every_fault_of_a_file_is_one_sentence(
    name: str, text: str | None, sentence: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError) as found:
        read_own_counts(path)
    assert str(found.value).startswith(f"{path}{sentence}")
    assert "\n" not in str(found.value)
