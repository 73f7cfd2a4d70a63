"""Exports stand alone, agree with the family everywhere, and refuse what is broken."""

from __future__ import annotations

import ast
import json
import re
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import search.export.export as export_module
from search.export import best_weighting, verification
from search.export.class_counts import ClassCounts, CountsFileError, read_counts
from search.export.export import export
from search.export.module_template import render_module
from search.export.other_counts import applied_json, apply_to_counts
from search.export.verification import verification_counts, verify_export
from search.export.winner import ExportError, Winner
from spaces import (
    NAMED,
    NORMALIZATIONS,
    Weighting,
    WeightingError,
    canonical_weights,
    check_weights,
    weighting_key,
)
from spaces.errors import UserError

COUNTS = [int(500 * (1 / 100) ** (i / 99)) for i in range(100)]
NAMES = [f"class {i}" for i in range(100)]
BENCHMARK = {"name": "resnet32-cifar100lt", "note": 'a """ quote, a \\ and $exponent, ü'}
RESULT = {"best_score": 40.5, "seeds": [42, 123], "nested": {"sd": 0.7}}
RICH = Weighting(
    exponent=0.62,
    link=0.3,
    nu=0.5,
    split_quantile=0.4,
    head_ratio=0.2,
    shape=0.3,
    bump=0.3,
    clip_low=0.05,
    clip_high=0.9,
)
BEST = Winner(RICH, tuple(COUNTS), tuple(NAMES), BENCHMARK, RESULT)
POINTS = {name: member.weighting for name, member in NAMED.items()} | {
    "rich": RICH,
    "beta zero": Weighting(exponent=1, beta=0),
    "nu clamped": Weighting(exponent=1, nu=1e-6),
    "small beta": Weighting(exponent=1, beta=0.01, link=1, weight_range=4),
    "given range": Weighting(exponent=1, weight_range=7, link=0.5, clip_high=0.7),
    "tiny link": Weighting(exponent=1, link=1e-11),
    "uniform with a bump": Weighting(bump=0.4),
    **{name: Weighting(exponent=0.7, normalization=name) for name in NORMALIZATIONS},
}


def load(weighting, class_names=None):
    """The exported module as a namespace, in this process."""
    namespace = {}
    text = render_module(weighting, class_names, BENCHMARK, RESULT, "key")
    exec(compile(text, "best", "exec"), namespace)
    return namespace


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    return export(folder, BEST)


@pytest.mark.filterwarnings("ignore:Training with these class weights")
@pytest.mark.parametrize("name", POINTS)
def test_the_module_agrees_with_the_family_on_counts_of_every_kind(name):
    compute = load(POINTS[name])["compute_class_weights"]
    for counts in [*verification_counts(COUNTS), [2**53, 1], [3, 2, 2]]:
        weights = compute(counts, len(counts), {})
        expected = POINTS[name].weights(counts)
        np.testing.assert_allclose(weights.double().numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize("form", (list, tuple, np.array, torch.tensor, torch.Tensor))
def test_the_module_takes_counts_in_any_form(form):
    weights = load(RICH)["compute_class_weights"](form([50, 5, 20]), 3, {"dataset": "cifar10"})
    assert weights.dtype == torch.float32
    assert weights.shape == (3,)
    assert weights.device.type == "cpu"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_module_answers_on_the_device_of_the_counts():
    counts = torch.tensor([50, 5, 20], device="cuda")
    assert load(RICH)["compute_class_weights"](counts, 3).device == counts.device


def test_the_weights_fit_the_loss_they_are_made_for():
    weights = load(RICH)["compute_class_weights"](torch.tensor([50, 5, 20]), 3)
    loss = torch.nn.CrossEntropyLoss(weight=weights)(torch.zeros(4, 3), torch.tensor([0, 1, 2, 1]))
    assert loss.item() == pytest.approx(np.log(3), rel=1e-5)


@pytest.mark.parametrize(
    ("counts", "classes", "sentence"),
    (
        ([], 0, "one-dimensional"),
        ([[1, 2]], 2, "one-dimensional"),
        (5, 1, "one-dimensional"),
        (["a", "b"], 2, "one-dimensional"),
        (None, 1, "one-dimensional"),
        ([1, 10**400], 2, "one-dimensional"),
        (torch.tensor([True, True]), 2, "one-dimensional"),
        (torch.tensor([1 + 1j]), 1, "one-dimensional"),
        ([3, 2], 3, "has 2 entries; num_classes is 3"),
        ([3, 0], 2, r"class_counts\[1\] is 0; .* insert 1.0 at position 1"),
        (torch.ones(2, device="meta"), 2, "on the device meta, which holds no numbers"),
        ([3, -1], 2, r"class_counts\[1\] is -1"),
        ([1.5, 2], 2, r"class_counts\[0\] is 1.5"),
        ([1, float("nan")], 2, r"class_counts\[1\] is nan"),
        ([1, float("inf")], 2, r"class_counts\[1\] is inf"),
    ),
)
def test_the_module_refuses_bad_counts_in_one_sentence(counts, classes, sentence):
    with pytest.raises(ValueError, match=sentence):
        load(RICH)["compute_class_weights"](counts, classes, {})


def test_the_module_refuses_counts_too_uneven_for_float32():
    steep = Weighting(exponent=5, normalization="none")
    with pytest.raises(ValueError, match="too uneven"):
        load(steep)["compute_class_weights"]([2**53, 1], 2, {})


def test_the_module_imports_torch_and_the_standard_library_alone(exported):
    tree = ast.parse(exported.module.read_text(encoding="utf-8"))
    imported = [n for n in ast.walk(tree) if isinstance(n, ast.Import | ast.ImportFrom)]
    names = {getattr(node, "module", None) or node.names[0].name for node in imported}
    assert names <= {"torch", *sys.stdlib_module_names}


def test_the_module_tells_its_story(exported):
    docstring = ast.get_docstring(ast.parse(exported.module.read_text(encoding="utf-8")))
    assert RICH.describe() in docstring
    for name, value in (BENCHMARK | RESULT).items():
        told = f"    {name}: {json.dumps(value)}\n" in docstring
        assert told == isinstance(value, str | int | float)


def test_an_export_leaves_two_files_and_nothing_else(exported):
    folder = exported.record.parent
    assert sorted(path.name for path in folder.iterdir()) == ["best.json", "best_weighting.py"]


def test_the_record_holds_what_was_exported(exported):
    document = json.loads(exported.record.read_text(encoding="utf-8"))
    assert document["class_names"] == NAMES
    assert document["class_counts"] == COUNTS
    assert document["result"] == RESULT
    assert Weighting.from_dict(document["weighting"]) == RICH
    assert document["weights"] == canonical_weights(RICH.weights(COUNTS)).tolist()
    assert document["weighting_key"] == weighting_key(RICH.weights(COUNTS))
    assert document["description"] == RICH.describe()


def test_verification_covers_order_length_equality_and_a_single_class():
    vectors = verification_counts([9, 3, 1])
    assert vectors[:2] == [[9, 3, 1], [1, 3, 9]]
    assert {len(vector) for vector in vectors} >= {1, 3, 4}
    assert any(len(set(vector)) == 1 < len(vector) for vector in vectors)


@pytest.mark.parametrize(
    ("text", "sentence"),
    (
        ("raise RuntimeError('no luck')", "fails in a fresh interpreter: RuntimeError: no luck"),
        ("import no_such_module", "No module named 'no_such_module'"),
        ("import sys; sys.exit(3)", "exit status 3"),
        ("", "has no attribute 'compute_class_weights'"),
    ),
)
def test_verification_refuses_a_module_that_does_not_run(text, sentence, tmp_path):
    path = tmp_path / "best_weighting.py"
    path.write_text(text)
    with pytest.raises(ExportError, match=sentence):
        verify_export(path, Weighting(), [[3, 1]])


FAKE = """
class Weights:
    dtype = {dtype!r}
    def tolist(self):
        return {weights}
def compute_class_weights(class_counts, num_classes, config):
    return Weights()
{extra}
"""


@pytest.mark.parametrize(
    ("dtype", "weights", "extra", "sentence"),
    (
        ("torch.float64", "[1.0, 1.0]", "", "does not give the weights of 'uniform' for 2 classes"),
        ("torch.float32", "[1.0, 1.00001]", "", "does not give the weights"),
        ("torch.float32", "[1.0]", "", "does not give the weights"),
        ("torch.float32", "[1.0, float('nan')]", "", "does not give the weights"),
        ("torch.float32", "[1.0, 1.0]", "print('hello')", "prints when it is imported"),
    ),
)
def test_verification_refuses_other_answers(dtype, weights, extra, sentence, tmp_path):
    path = tmp_path / "best_weighting.py"
    path.write_text(FAKE.format(dtype=dtype, weights=weights, extra=extra))
    with pytest.raises(ExportError, match=sentence):
        verify_export(path, Weighting(), [[3, 1]])


def test_verification_gives_up_on_a_module_that_hangs(tmp_path, monkeypatch):
    monkeypatch.setattr(verification, "_VERIFY_SECONDS", 0.2)
    path = tmp_path / "best_weighting.py"
    path.write_text("import time; time.sleep(30)")
    with pytest.raises(ExportError, match=r"gave no answer in 0\.2 seconds"):
        verify_export(path, Weighting(), [[3, 1]])


def test_a_module_that_fails_verification_is_not_put_in_place(tmp_path, monkeypatch):
    monkeypatch.setattr(export_module, "render_module", lambda *_: "raise SystemExit('broken')")
    (tmp_path / "best_weighting.py").write_text("earlier")
    with pytest.raises(ExportError, match="broken"):
        export(tmp_path, BEST)
    assert [path.name for path in tmp_path.iterdir()] == ["best_weighting.py"]
    assert (tmp_path / "best_weighting.py").read_text() == "earlier"


@pytest.mark.parametrize(
    ("change", "sentence"),
    (
        ({"class_counts": [3, 0]}, r"class_counts\[1\]: got 0"),
        ({"class_names": ["one"]}, "class_names: got 1 names for 100 class counts"),
        ({"result": {"accuracy": float("nan")}}, "cannot be written as JSON"),
        ({"benchmark": {"path": object()}}, "cannot be written as JSON"),
    ),
)
def test_an_export_of_bad_facts_is_refused_before_anything_is_written(change, sentence, tmp_path):
    with pytest.raises(ExportError, match=sentence):
        export(tmp_path, replace(BEST, **change))
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_named_with_a_remedy(tmp_path, monkeypatch):
    monkeypatch.setattr(export_module, "verify_export", lambda *_: None)
    (tmp_path / "file").touch()
    with pytest.raises(ExportError, match=r"cannot be written to .*file \(.*--output FOLDER"):
        export(tmp_path / "file", BEST)
    assert export(tmp_path / "new" / "folder", BEST).record.is_file()


def test_the_best_weighting_applies_to_other_counts():
    applied = apply_to_counts(
        BEST.weighting, BEST.class_names, ClassCounts((5, 50, 500), ("a", "b", "c"))
    )
    assert [row["weight"] for row in applied["classes"]] == RICH.weights([5, 50, 500]).tolist()
    assert [row["class"] for row in applied["classes"]] == ["a", "b", "c"]
    assert applied["warning"] is None
    assert 0.1 < applied["effective_sample_fraction"] <= 1
    text = applied_json(applied)
    assert json.loads(text) == applied
    assert sum('"class": ' in line for line in text.splitlines()) == 3


def test_counts_with_the_names_of_the_benchmark_are_put_in_its_order():
    applied = apply_to_counts(
        BEST.weighting, BEST.class_names, ClassCounts(tuple(COUNTS[::-1]), tuple(NAMES[::-1]))
    )
    assert [row["class"] for row in applied["classes"]] == NAMES
    assert [row["count"] for row in applied["classes"]] == COUNTS
    assert (
        apply_to_counts(BEST.weighting, BEST.class_names, ClassCounts((7, 2), None))["classes"][1][
            "class"
        ]
        == 1
    )


@pytest.mark.parametrize(
    ("exponent", "counts"), ((1.25, [10**4, 1]), (1.25, [10**6, 1]), (2, [900, 12]), (3, [5000, 3]))
)
def test_counts_on_which_the_weights_would_train_poorly_are_warned_about(exponent, counts):
    """By the module and `export --counts` alike, with a power of the weights that is sound."""
    weighting = Weighting(exponent=exponent)
    with pytest.raises(WeightingError):
        check_weights(counts, weighting.weights(counts))
    with pytest.warns(UserWarning, match="would go badly") as caught:
        weights = load(weighting)["compute_class_weights"](counts, 2)
    assert Path(caught[0].filename) == Path(__file__)
    sentence = str(caught[0].message)
    best = Winner(weighting, (10, 5), None, {}, {})
    assert (
        apply_to_counts(best.weighting, best.class_names, ClassCounts(tuple(counts), None))[
            "warning"
        ]
        == sentence
    )
    power = float(re.search(r"weights \*\* (\S+),", sentence)[1])
    check_weights(counts, (weights**power).double().numpy())
    with pytest.raises(WeightingError):
        check_weights(counts, (weights ** (power + 0.05)).double().numpy())


@pytest.mark.filterwarnings("ignore:Training with these class weights")
def test_the_module_warns_where_the_search_refuses():
    seen = set()
    for exponent in np.linspace(0.1, 3, 30):
        weighting = Weighting(exponent=float(exponent))
        for counts in verification_counts(COUNTS):
            weights = weighting.weights(counts)
            problem = best_weighting.training_problem(
                torch.tensor(counts, dtype=torch.float64), torch.from_numpy(weights)
            )
            try:
                check_weights(counts, weights)
            except WeightingError:
                seen.add("refused")
                assert problem
            else:
                seen.add("sound")
                assert problem is None
    assert seen == {"refused", "sound"}


def test_counts_too_uneven_to_apply_to_are_refused():
    steep = Winner(Weighting(exponent=100), (2, 1), None, {}, {})
    with pytest.raises(ExportError, match="lower the exponent"):
        apply_to_counts(steep.weighting, steep.class_names, ClassCounts((10**9, 1), None))


class Series:
    """What the module uses of a pandas Series: `items`, in the order of the rows."""

    def __init__(self, values, index):
        self.pairs = list(zip(index, values, strict=True))

    def items(self):
        return iter(self.pairs)


DIGITS = [str(label) for label in range(11)]


@pytest.mark.parametrize(
    ("labelled", "names"),
    (
        (Counter([1] * 20 + [0] * 500 + [2] * 3), None),
        ({np.int64(2): 3, np.int64(0): 500, np.int64(1): 20}, None),
        ({"2": 3, "0": 500, "1": 20}, None),
        ({"2": 3, "0": 500, "1": 20}, ("0", "1", "2")),
        ({2: 3, 0: 500, 1: 20}, ("a", "b", "c")),
        (Counter({"c": 3, "b": 20, "a": 500}), ("a", "b", "c")),
        (Series([3, 500, 20], ["z", "x", "y"]), ("x", "y", "z")),
        (Series([3, 20, 500], [2, 1, 0]), None),
    ),
)
def test_counts_with_labels_are_put_in_the_order_of_the_labels(labelled, names):
    compute = load(RICH, names)["compute_class_weights"]
    assert compute(labelled, 3).tolist() == compute([500, 20, 3], 3).tolist()


def test_the_most_frequent_class_has_the_smallest_weight_in_what_pandas_counts():
    pandas = pytest.importorskip("pandas")
    compute = load(Weighting(exponent=1))["compute_class_weights"]
    for kind in (int, str):
        counts = pandas.Series([kind(1)] * 500 + [kind(2)] * 60 + [kind(0)] * 9).value_counts()
        assert compute(counts, 3).tolist() == compute([9, 500, 60], 3).tolist()


@pytest.mark.parametrize(
    ("labelled", "names", "sentence"),
    (
        ({"cat": 5, "dog": 3}, None, r"labels 'cat', 'dog'; they must be the whole numbers 0 to 1"),
        (
            {"cat": 5, "dog": 3},
            ("cat", "owl"),
            "labels 'cat', 'dog'; they must be .* 0 to 1, or CLASS_NAMES",
        ),
        ({1: 5, 2: 3}, None, "labels 1, 2; they must be"),
        ({0: 5, 1.5: 3}, None, "labels 0, 1.5; they must be"),
        ({0: 5, "0": 3}, None, "labels 0, '0'; they must be"),
        (Series([5, 3], [0, 0]), None, "labels 0, 0; they must be"),
        (Counter({0: 5}), None, r"class_counts\[1\] is 0; .* insert 1.0 at position 1"),
        ({"a": 5}, ("b", "a"), r"class_counts\[0\] is 0"),
        ({0: 5, 1: "many"}, None, "one positive integer per class"),
        ({0: [5, 3], 1: [3, 5]}, None, "one positive integer per class"),
        (
            dict(zip(DIGITS, range(1, 12), strict=True)),
            sorted(DIGITS),
            "labels '0', '1', '2', '3', '4', ...; as numbers and as CLASS_NAMES they have two",
        ),
    ),
)
def test_counts_with_labels_of_no_known_order_are_refused(labelled, names, sentence):
    with pytest.raises(ValueError, match=sentence):
        load(RICH, names)["compute_class_weights"](labelled, len(names or "ab"))


@pytest.mark.parametrize("device", ("meta", "cpu"))
@pytest.mark.parametrize("dtype", (torch.float64, torch.float16))
@pytest.mark.parametrize("weighting", (RICH, POINTS["given range"], POINTS["effective"]))
def test_the_module_does_not_depend_on_the_defaults_of_torch(device, dtype, weighting):
    compute = load(weighting)["compute_class_weights"]
    expected = compute([50, 5, 20], 3)
    counts = torch.tensor([50, 5, 20])
    torch.set_default_device(device)
    torch.set_default_dtype(dtype)
    try:
        answers = compute([50, 5, 20], 3), compute(counts, 3)
    finally:
        torch.set_default_device(None)
        torch.set_default_dtype(torch.float32)
    for weights in answers:
        assert weights.dtype == torch.float32
        assert weights.tolist() == expected.tolist()


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
        ("5\n\n0\n", "line 3: got '0'; compute the weights of the classes with images, and insert"),
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
        ("[5, 0]", r"class_counts\[1\]: got 0"),
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
