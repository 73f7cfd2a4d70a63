"""Long-tailed subsets keep fewer images from class to class; others halve classes, or set aside.

Pure functions of labels, counts and seeds.
"""

import hashlib
from bisect import bisect_left
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spaces.parts.words import number_of
from trainer.errors import DataError

# Any fixed number will do; changing it would make every earlier A/B result incomparable.
HALVES_KEY = 0x6C6F6E677461696C


def long_tail_counts(max_count: int, ratio: float, num_classes: int) -> NDArray[np.int64]:
    """Exponentially falling counts `n_i = int(max_count * (1 / ratio) ** (i / (C - 1)))`.

    Returns int64 (C,), class 0 the most frequent. Source: Cui et al., CVPR 2019; Cao et al.,
    NeurIPS 2019. Needs C >= 2.
    """
    # Python floats and exactly this form: exp(-i / (C - 1) * log(ratio)) is equal on paper but
    # truncates the last class of CIFAR-10-LT to 49 images instead of 50.
    counts = [int(max_count * (1 / ratio) ** (i / (num_classes - 1))) for i in range(num_classes)]
    return np.array(counts, dtype=np.int64)


def largest_max_count(available: Sequence[int], ratio: float) -> int:
    """The largest `max_count` whose long tail fits into `available` images per class.

    The classes are ranked as in `ranked_counts`. Returns 0 when not even one image would do.
    """
    ranked = np.sort(np.array(available, dtype=np.int64))[::-1]
    candidates = range(1, int(ranked[0]) + 1)

    def too_large(max_count: int) -> bool:
        return bool(np.any(long_tail_counts(max_count, ratio, len(ranked)) > ranked))

    return bisect_left(candidates, True, key=too_large)


def ranked_counts(available: Sequence[int], max_count: int, ratio: float) -> NDArray[np.int64]:
    """Long-tailed counts for classes in any order: the class with most images gets most.

    Classes are ranked by `available` (C,), descending, ties by label (so by name, as labels
    follow the sorted names). Returns int64 (C,) in label order.
    """
    order = np.argsort(-np.array(available, dtype=np.int64), kind="stable")
    counts = np.empty(len(available), dtype=np.int64)
    counts[order] = long_tail_counts(max_count, ratio, len(available))
    return counts


def select_long_tail(
    labels: NDArray[np.int64], counts: NDArray[np.int64], seed: int
) -> NDArray[np.int64]:
    """Which images are kept: the convention of LDAM-DRW (Cao et al., NeurIPS 2019).

    One `RandomState(seed)`; classes in order; shuffle the indices of each and take the first
    `counts[c]`. labels (N,), counts (C,). Returns int64 (sum(counts),), class after class, each
    class in its shuffled order. Raises DataError when a class has too few images.
    """
    random = np.random.RandomState(seed)
    chosen = []
    for label, count in enumerate(counts):
        indices = np.flatnonzero(labels == label)
        if len(indices) < count:
            raise DataError(
                f"class {label} has {number_of(len(indices), 'training image')} but the "
                "long tail needs "
                f"{count}: lower max_count or add images"
            )
        random.shuffle(indices)
        chosen.append(indices[:count])
    return np.concatenate(chosen).astype(np.int64)


def stratified_halves(labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """The fixed halves of a test set: True (T,) marks half A, to choose on; the rest, B, reports.

    A pure function of labels (T,). In each class the halves differ by at most one image; the odd
    images go to A and B in turn, so the totals differ by at most one too.
    """
    # Raw words of a counter-based generator: numpy promises their stream, but not shuffle's.
    words = np.random.Philox(key=HALVES_KEY).random_raw(len(labels))
    half_a = np.zeros(len(labels), dtype=np.bool_)
    extra = 1
    for label in np.unique(labels):
        indices = np.flatnonzero(labels == label)
        order = np.argsort(words[indices], kind="stable")
        odd = len(indices) % 2
        half_a[indices[order[: len(indices) // 2 + odd * extra]]] = True
        extra ^= odd
    return half_a


def set_aside(digests: Sequence[int], share: float) -> NDArray[np.bool_]:
    """Which images of a class, by 64 bits of their content, are set aside, bool (n,).

    They are `share` of the class, rounded, but at least one and not all, drawn at random, the same
    each time, and whatever other images there are. Copies of an image stay on one side, except
    where the class has nothing else.
    """
    count = min(len(digests) - 1, max(1, round(share * len(digests))))
    drawn = sorted(range(len(digests)), key=lambda image: _draw(digests[image]))
    between = [n for n in range(1, len(drawn)) if digests[drawn[n - 1]] != digests[drawn[n]]]
    count = min(between, key=lambda n: abs(n - count), default=count)
    aside = np.zeros(len(digests), dtype=np.bool_)
    aside[drawn[:count]] = True
    return aside


def _draw(digest: int) -> bytes:
    """What orders images at random by their content."""
    return hashlib.blake2b(digest.to_bytes(8, "big"), key=b"validation").digest()
