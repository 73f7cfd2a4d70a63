"""The exported module of class weights agrees with the family on counts in any form."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from exporting import COUNTS, RICH, load

from search.export import best_weighting
from search.export.verification import verification_counts
from spaces import (
    NAMED,
    NORMALIZATIONS,
    Ramp,
    Schedule,
    Strategy,
    Weighting,
    WeightingError,
    check_weights,
)

LATE = Strategy(Schedule(RICH, Ramp(0.8, 0.8)))
LATE_ROOT = Strategy(Schedule(Weighting(exponent=0.5), Ramp(0.8, 0.8)))
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


@pytest.mark.filterwarnings("ignore:Training with these class weights")
@pytest.mark.parametrize("name", POINTS)
def test_the_module_agrees_with_the_family_on_counts_of_every_kind(name):
    compute = load(POINTS[name])["compute_class_weights"]
    for counts in [*verification_counts(COUNTS), [2**53, 1], [3, 2, 2]]:
        weights = compute(counts, len(counts), {})
        expected = POINTS[name].weights(counts)
        np.testing.assert_allclose(weights.double().numpy(), expected, rtol=1e-6)


ARRAYS = (
    np.array,
    lambda numbers: np.array(numbers[::-1])[::-1],
    lambda numbers: np.array(numbers).astype(">i8"),
)


@pytest.mark.parametrize("form", (list, tuple, *ARRAYS, torch.tensor, torch.Tensor))
def test_the_module_takes_counts_in_any_form(form):
    weights = load(RICH)["compute_class_weights"](form([50, 5, 20]), 3, {"dataset": "cifar10"})
    assert weights.dtype == torch.float32
    assert weights.shape == (3,)
    assert weights.device.type == "cpu"
    assert weights.argmax() == 1


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
        (np.array([1 + 1j]), 1, "one-dimensional"),
        ([3, 2], 3, "has 2 entries; num_classes is 3"),
        ([3, 2], "2", "has 2 entries; num_classes is '2'"),
        ([3, 0], 2, r"class_counts\[1\] is 0; give compute_class_weights zero_counts='ignore'"),
        (torch.ones(2, device="meta"), 2, "on the device meta, which holds no numbers"),
        ([3, -1], 2, r"class_counts\[1\] is -1"),
        ([1234567.5, 2], 2, r"class_counts\[0\] is 1234567.5; give an integer"),
        ([2**53 + 2, 2], 2, r"class_counts\[0\] is 9007199254740994.0; .* 1 to 2\*\*53"),
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
        (Counter({0: 5}), None, r"class_counts\[1\] is 0; give .* zero_counts"),
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
    "found", (RICH, Strategy.of(RICH), LATE), ids=("weights", "static", "late")
)
@pytest.mark.parametrize("names", (None, ("a", "b", "c")))
def test_the_number_of_classes_may_be_left_out(found, names):
    compute = load(found, names)["compute_class_weights"]
    expected = compute([500, 20, 3], 3).tolist()
    assert compute([500, 20, 3]).tolist() == expected
    assert compute({"1": 20, "2": 3, "0": 500}).tolist() == expected
    if names:
        assert compute({"b": 20, "c": 3, "a": 500}).tolist() == expected
        missing = compute({"b": 20, "a": 500}, zero_counts="smallest")
        assert missing[1] == missing[2]


LABELS = [0] * 50 + [2] * 5 + [1] * 20


@pytest.mark.parametrize(
    "form",
    (list, tuple, np.array, torch.tensor, lambda n: [*torch.tensor(n)], lambda n: map(str, n)),
)
def test_weights_of_labels_are_those_of_their_counts(form):
    module = load(RICH)
    expected = module["compute_class_weights"]([50, 20, 5], normalization="mean_sample_one")
    weights = module["weights_from_labels"](form(LABELS), normalization="mean_sample_one")
    assert weights.tolist() == expected.tolist()
    assert weights[torch.tensor(LABELS)].mean().item() == pytest.approx(1, rel=1e-6)


def test_weights_of_labels_by_name_and_of_a_pandas_series():
    pandas = pytest.importorskip("pandas")
    module = load(RICH, ("cat", "dog", "ant"))
    named = [("cat", "dog", "ant")[label] for label in LABELS]
    expected = module["compute_class_weights"]([50, 20, 5]).tolist()
    assert module["weights_from_labels"](named).tolist() == expected
    for series in (pandas.Series(named), pandas.Series(LABELS), pandas.Categorical(named)):
        assert module["weights_from_labels"](series, 3).tolist() == expected


@pytest.mark.parametrize(
    ("labels", "classes", "sentence"),
    (
        ([[0, 1], [1, 0]], 2, "labels must be one-dimensional"),
        ([torch.tensor([0, 1])], 2, "labels must be one-dimensional"),
        (5, None, "labels must be one-dimensional"),
        ([], None, "one-dimensional"),
        ([0, 1, 3], 3, "labels 0, 1, 3; they must be the whole numbers 0 to 2;"),
        ([0.0, 1.0], None, "labels 0.0, 1.0; they must be the whole numbers 0 to C - 1;"),
        ([10**8, 0], None, "labels 100000000, 0; they must be the whole numbers 0 to C - 1;"),
        ([0, 2], None, r"class_counts\[1\] is 0"),
        ([0, 1], 3, r"class_counts\[2\] is 0"),
    ),
)
def test_labels_of_no_known_class_are_refused(labels, classes, sentence):
    with pytest.raises(ValueError, match=sentence):
        load(RICH)["weights_from_labels"](labels, classes)


@pytest.mark.parametrize("found", (Weighting(exponent=0.5), LATE_ROOT), ids=("weights", "strategy"))
@pytest.mark.parametrize("normalization", ("sum_to_classes", "mean_sample_one", "sum_to_one"))
def test_classes_without_images_have_no_weight_or_that_of_the_rarest(found, normalization):
    compute = load(found)["compute_class_weights"]
    counts, seen = [50, 0, 20, 5], [0, 2, 3]
    positive = compute([50, 20, 5], normalization=normalization)
    ignored = compute(counts, 4, zero_counts="ignore", normalization=normalization)
    assert ignored[1] == 0
    smallest = compute(counts, 4, zero_counts="smallest", normalization=normalization)
    assert smallest[1] == smallest[3] == smallest.max()
    for weights in (ignored, smallest):
        assert (weights[seen] / weights[0]).tolist() == pytest.approx(
            (positive / positive[0]).tolist(), rel=1e-6
        )
        mean = (torch.tensor(counts) * weights).sum() / sum(counts)
        measured = {"sum_to_classes": weights.mean(), "sum_to_one": weights.sum()}
        assert measured.get(normalization, mean).item() == pytest.approx(1, rel=1e-6)


@pytest.mark.parametrize(
    ("options", "sentence"),
    (
        ({"zero_counts": "skip"}, "zero_counts is 'skip'; it must be one of"),
        ({"normalization": "mean"}, "normalization is 'mean'; it must be one of"),
    ),
)
def test_options_that_there_are_not_are_refused(options, sentence):
    for found in (RICH, LATE):
        with pytest.raises(ValueError, match=sentence):
            load(found)["compute_class_weights"]([5, 3], 2, **options)


@pytest.mark.parametrize("rule", ("ignore", "smallest"))
def test_counts_of_nothing_are_refused(rule):
    with pytest.raises(ValueError, match="class_counts are all 0"):
        load(RICH)["compute_class_weights"]([0, 0], zero_counts=rule)


def test_weights_cancel_in_parts_of_one_image_and_act_in_full_where_parts_count_by_their_weights():
    counts = torch.tensor([50, 20, 5])
    compute = load(Weighting(exponent=1))["compute_class_weights"]
    weights = compute(counts, normalization="mean_sample_one")
    labels = torch.arange(3).repeat_interleave(counts)
    logits = torch.randn(75, 3, generator=torch.Generator().manual_seed(0))
    loss = torch.nn.CrossEntropyLoss(weight=weights)
    ones = [loss(*image).item() for image in zip(logits.split(1), labels.split(1), strict=True)]
    assert np.mean(ones) == pytest.approx(torch.nn.CrossEntropyLoss()(logits, labels).item())
    for size in (1, 25):
        parts = zip(logits.split(size), labels.split(size), strict=True)
        counted = [(loss(z, y) * weights[y].mean()).item() for z, y in parts]
        assert np.mean(counted) == pytest.approx(loss(logits, labels).item(), rel=1e-5)


@pytest.mark.parametrize(("exponent", "factor"), ((0.5, 0.45), (1.0, 0.20)))
def test_weights_that_sum_to_classes_lower_the_learning_rate_of_a_loss_that_averages_by_images(
    exponent, factor
):
    """CIFAR-100-LT: the loss, and with it the step, is so many times that of equal weights."""
    compute = load(Weighting(exponent=exponent))["compute_class_weights"]
    counts = torch.tensor(COUNTS)
    for normalization, expected in (("sum_to_classes", factor), ("mean_sample_one", 1.0)):
        weights = compute(counts, 100, normalization=normalization)
        loss = torch.nn.CrossEntropyLoss(weight=weights, reduction="none")
        labels = torch.arange(100).repeat_interleave(counts)
        mean = loss(torch.zeros(len(labels), 100), labels).mean() / np.log(100)
        assert mean.item() == pytest.approx(expected, abs=0.005)
