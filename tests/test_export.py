"""Does an export stand alone, agree with the family everywhere, and refuse what is broken?"""

from __future__ import annotations

import ast
import json

import numpy as np
import pytest
import torch

import search.export as export_module
from search.counts_file import CountsFileError, read_counts
from search.export import (
    Best,
    ExportError,
    apply_to_counts,
    export,
    read_best,
    verification_counts,
    verify_export,
)
from search.export_template import render_module
from spaces import NAMED, NORMALIZATIONS, Weighting, canonical_weights, weighting_key

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


def load(weighting):
    """The exported module as a namespace, in this process."""
    namespace = {}
    exec(compile(render_module(weighting, BENCHMARK, RESULT, "key"), "best", "exec"), namespace)
    return namespace


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    return export(folder, RICH, COUNTS, NAMES, BENCHMARK, RESULT)


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
        ([3, 0], 2, r"class_counts\[1\] is 0; it must be a positive integer"),
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
    assert {ast.unparse(node) for node in imported} == {"import math", "import torch"}


def test_the_module_tells_its_story(exported):
    docstring = ast.get_docstring(ast.parse(exported.module.read_text(encoding="utf-8")))
    assert RICH.describe() in docstring
    for name, value in (BENCHMARK | RESULT).items():
        told = f"    {name}: {json.dumps(value)}\n" in docstring
        assert told == isinstance(value, str | int | float)


def test_an_export_leaves_two_files_and_nothing_else(exported):
    folder = exported.record.parent
    assert sorted(path.name for path in folder.iterdir()) == ["best.json", "best_weighting.py"]


def test_the_record_reads_back_as_what_was_exported(exported):
    best = read_best(exported.record)
    assert best == Best(RICH, tuple(COUNTS), tuple(NAMES), BENCHMARK, RESULT)
    document = json.loads(exported.record.read_text(encoding="utf-8"))
    assert document["weights"] == canonical_weights(RICH.weights(COUNTS)).tolist()
    assert document["weighting_key"] == weighting_key(RICH.weights(COUNTS))
    assert document["description"] == RICH.describe()


def test_verification_covers_order_length_equality_and_a_single_class():
    vectors = verification_counts([9, 3, 1])
    assert vectors[:2] == [[9, 3, 1], [1, 3, 9]]
    assert {len(vector) for vector in vectors} >= {1, 3, 4}
    assert any(len(set(vector)) == 1 < len(vector) for vector in vectors)


def test_verification_refuses_the_module_of_another_weighting(exported):
    with pytest.raises(ExportError, match=r"does not give the weights of 'p=0\.5'"):
        verify_export(exported.module, Weighting(exponent=0.5), [COUNTS])


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
        ("torch.float64", "[1.0, 1.0]", "", "does not give the weights"),
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
    monkeypatch.setattr(export_module, "_VERIFY_SECONDS", 0.2)
    path = tmp_path / "best_weighting.py"
    path.write_text("import time; time.sleep(30)")
    with pytest.raises(ExportError, match=r"gave no answer in 0\.2 seconds"):
        verify_export(path, Weighting(), [[3, 1]])


def test_a_module_that_fails_verification_is_not_put_in_place(tmp_path, monkeypatch):
    monkeypatch.setattr(export_module, "render_module", lambda *_: "raise SystemExit('broken')")
    (tmp_path / "best_weighting.py").write_text("earlier")
    with pytest.raises(ExportError, match="broken"):
        export(tmp_path, RICH, COUNTS, None, BENCHMARK, RESULT)
    assert [path.name for path in tmp_path.iterdir()] == ["best_weighting.py"]
    assert (tmp_path / "best_weighting.py").read_text() == "earlier"


@pytest.mark.parametrize(
    ("change", "sentence"),
    (
        ({"counts": [3, 0]}, r"class_counts\[1\]: got 0"),
        ({"class_names": ["one"]}, "class_names: got 1 names for 100 class counts"),
        ({"result": {"accuracy": float("nan")}}, "cannot be written as JSON"),
        ({"benchmark": {"path": object()}}, "cannot be written as JSON"),
    ),
)
def test_an_export_of_bad_facts_is_refused_before_anything_is_written(change, sentence, tmp_path):
    facts = {"counts": COUNTS, "class_names": None, "benchmark": BENCHMARK, "result": RESULT}
    with pytest.raises(ExportError, match=sentence):
        export(tmp_path, RICH, **(facts | change))
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_missing_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(export_module, "verify_export", lambda *_: None)
    with pytest.raises(ExportError, match=r"cannot be written to .*missing"):
        export(tmp_path / "missing", RICH, COUNTS, None, BENCHMARK, RESULT)


@pytest.mark.parametrize(
    ("change", "sentence"),
    (
        ({"schema_version": 2}, "schema_version is 2, and must be 1"),
        ({"extra": 1}, "it has the unknown key 'extra'"),
        ({"weights": None}, "weights is None, and must be of type array"),
        ({"weights": ["1"]}, "weights/0 is '1', and must be of type number"),
        ({"weights": [1.0, 1.0]}, "do not belong together"),
        ({"weighting": {"exponent": 0.5}}, "do not belong together"),
        ({"weighting": {"exponnent": 0.5}}, "did you mean 'exponent'"),
        ({"class_counts": [0]}, "class_counts/0 is 0, and must keep the rule minimum 1"),
        ({"class_names": ["one"]}, "got 1 names for 100"),
        ({"class_names": []}, "got 0 names for 100"),
        ({"class_names": [1]}, "class_names/0 is 1, and must be of type string"),
        ({"result": []}, r"result is \[\], and must be of type object"),
        ({"weighting_key": "0" * 16}, "do not belong together"),
    ),
)
def test_a_changed_record_is_refused(exported, tmp_path, change, sentence):
    document = json.loads(exported.record.read_text(encoding="utf-8")) | change
    path = tmp_path / "best.json"
    path.write_text(json.dumps(document))
    with pytest.raises(ExportError, match=sentence):
        read_best(path)


@pytest.mark.parametrize(
    ("text", "sentence"),
    (
        (None, "cannot be read"),
        ("{", "is not JSON"),
        ("[]", r"it is \[\], and must be of type object"),
        ('{"schema_version": 1}', "it lacks 'weighting'"),
        ('{"schema_version": NaN}', "is not JSON: NaN is no number of JSON"),
        ("[" * 100_000, "is not JSON: it is nested too deeply"),
        ("{}", "it lacks 'schema_version'"),
    ),
)
def test_a_file_that_is_no_record_is_refused(tmp_path, text, sentence):
    path = tmp_path / "best.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ExportError, match=sentence):
        read_best(path)


def test_the_best_weighting_applies_to_other_counts(exported):
    best = read_best(exported.record)
    applied = apply_to_counts(best, [5, 50, 500], ["a", "b", "c"])
    np.testing.assert_array_equal(applied["weights"], RICH.weights([5, 50, 500]))
    assert applied["class_names"] == ["a", "b", "c"]
    assert applied["warning"] is None
    assert 0.1 < applied["effective_sample_fraction"] <= 1
    json.dumps(applied, allow_nan=False)


def test_counts_on_which_the_weights_would_train_poorly_are_warned_about():
    best = Best(Weighting(exponent=1.25), (10, 5), None, {}, {})
    assert "effective-sample fraction" in apply_to_counts(best, [10**4, 1])["warning"]
    assert "max/min weight" in apply_to_counts(best, [10**6, 1])["warning"]


def test_bad_counts_to_apply_to_are_refused():
    with pytest.raises(ExportError, match=r"class_counts\[0\]: got -1"):
        apply_to_counts(Best(RICH, (10, 5), None, {}, {}), [-1])
    steep = Best(Weighting(exponent=100), (2, 1), None, {}, {})
    with pytest.raises(ExportError, match="lower the exponent"):
        apply_to_counts(steep, [10**9, 1])


@pytest.mark.parametrize(
    ("text", "counts", "names"),
    (
        ("[500, 20, 3]", (500, 20, 3), None),
        ('{"cat": 5, "dog": 3.0}', (5, 3), ("cat", "dog")),
        ("5\n3\n", (5, 3), None),
        ("\ufeffname,count\r\ncat,5\r\n\r\n# rare\r\ndog , 3", (5, 3), ("cat", "dog")),
        ('"cat, big",5\ndog,3\n', (5, 3), ("cat, big", "dog")),
    ),
)
def test_counts_are_read_from_each_form(tmp_path, text, counts, names):
    path = tmp_path / "counts.txt"
    path.write_text(text, encoding="utf-8")
    read = read_counts(path)
    assert (read.counts, read.class_names) == (counts, names)


@pytest.mark.parametrize(
    ("text", "sentence"),
    (
        ("", "holds no class counts"),
        ("5\nfive\n", "line 2: got 'five'; must be a positive integer"),
        ("5\n\n0\n", "line 3: got '0'"),
        ("5\n-3\n", "line 2: got '-3'"),
        ("5\n2.5\n", "line 2: got '2.5'"),
        ("5\n99999999999999999\n", "line 2: got '99999999999999999'"),
        ("5\n9999999999999999\n", r"class_counts\[1\]: got 9999999999999999"),
        ("a,b,5\n", "line 1: got 'a,b,5'"),
        (",5\n", "line 1: got ',5'"),
        ("a,5\n6\n", "line 2: got '6'; either every line has a class name or none"),
        ("5\na,6\n", "line 2: got 'a,6'; either every line"),
        ("a,5\na,6\n", "line 2: class 'a' appears twice"),
        ("5\ncount\n", "line 2: got 'count'"),
        ("[5,\n3,\n", "line 3: is not JSON"),
        ("[]", "must be a JSON list of counts or an object"),
        ("{}", "must be a JSON list of counts or an object"),
        ("[5, 0]", r"class_counts\[1\]: got 0"),
        ("[NaN]", r"class_counts\[0\]: got nan"),
        ("[[5]]", r"class_counts: got shape \(1, 1\)"),
        ('{"a": 1, "a": 2}', "class 'a' appears twice"),
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
    with pytest.raises(CountsFileError, match=r"missing.txt cannot be read"):
        read_counts(tmp_path / "missing.txt")
    (tmp_path / "image.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CountsFileError, match=r"image.txt is not a text file"):
        read_counts(tmp_path / "image.txt")
    (tmp_path / "scalar.json").write_text("5")
    with pytest.raises(CountsFileError, match="must be a JSON list"):
        read_counts(tmp_path / "scalar.json")
