"""Image sampling: the order of an epoch whose images are drawn by class, with replacement.

Orders are made of raw words of Philox (Salmon et al., SC 2011), as plans of epochs are, from
streams of their own: an epoch's crops and flips are the same, however its images are drawn.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spaces.recipe import Recipe

DRAW_STREAM = 1 << 33
"""Second key word of an epoch's draws, less the epoch number; plans have the epoch number alone."""
SHUFFLE_STREAM = 2 << 33
"""Second key word of the words that shuffle the images of classes, in all epochs alike."""
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
"""The step of SplitMix64 (Steele et al., OOPSLA 2014)."""

Integers = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ClassImages:
    """The training images of each class.

    Attributes:
        images: (N,) image numbers, class by class.
        counts: (C,) images of each class.
        starts: (C,) where each class begins in ``images``.
    """

    images: Integers
    counts: Integers
    starts: Integers

    @classmethod
    def of(cls, labels: npt.ArrayLike, classes: int) -> "ClassImages":
        """Return the images of each class, given their labels (N,) in 0..classes-1."""
        numbers = np.asarray(labels, dtype=np.int64)
        counts = np.bincount(numbers, minlength=classes).astype(np.int64)
        return cls(np.argsort(numbers, kind="stable"), counts, np.cumsum(counts) - counts)

    def labels(self) -> Integers:
        """Return the class of each image, (N,)."""
        labels = np.empty_like(self.images)
        labels[self.images] = np.repeat(np.arange(len(self.counts)), self.counts)
        return labels


def drawn_classes(seed: int, epoch: int, probabilities: Numbers, draws: int) -> Integers:
    """Return the classes, int64 (draws,), of an epoch's images, independent of each other."""
    words = np.random.Philox(key=[seed, DRAW_STREAM + epoch]).random_raw(draws)
    cumulative = np.cumsum(np.asarray(probabilities, dtype=np.float64))
    uniform = (words >> np.uint64(11)) * 2.0**-53  # below 1, so each is below the last sum
    drawn: Integers = np.searchsorted(cumulative / cumulative[-1], uniform, side="right")
    return drawn


def sampled_order(seed: int, epoch: int, probabilities: Numbers, classes: ClassImages) -> Integers:
    """Return the order (N,) of ``epoch`` (1-based) with independent draws of images.

    A class is drawn with its probability, and each of its images alike: N draws from the law of
    torch's ``WeightedRandomSampler`` with replacement, given weights p_c / n_c.

    Args:
        probabilities: of the classes, (C,), up to a factor; 0 for a class without images.
    """
    size = len(classes.images)
    words = np.random.Philox(key=[seed, DRAW_STREAM + epoch]).random_raw(2 * size)[size:]
    drawn = drawn_classes(seed, epoch, probabilities, size)
    places: Integers = (words % classes.counts[drawn].astype(np.uint64)).astype(np.int64)
    order: Integers = classes.images[classes.starts[drawn] + places]
    return order


def cycled_order(
    seed: int, epoch: int, probabilities: Numbers, classes: ClassImages, shown: Integers
) -> Integers:
    """Return the order (N,) of ``epoch`` (1-based) in which each class's images take turns.

    Classes are drawn as in ``sampled_order``. The images of a class come in cycles, each shuffled
    anew: none is repeated before all of the class were shown, in whichever epochs.

    Args:
        shown: images of each class, (C,), that epochs before this one drew.
    """
    drawn = drawn_classes(seed, epoch, probabilities, len(classes.images))
    by_class = np.argsort(drawn, kind="stable")
    draws = np.bincount(drawn, minlength=len(shown))
    ordinals = np.empty_like(drawn)
    ordinals[by_class] = counted(draws) + np.repeat(shown, draws)
    images = classes.counts[drawn]
    cycles, places = ordinals // images, ordinals % images
    first = shown // classes.counts
    spans = np.where(draws > 0, (shown + draws - 1) // classes.counts - first + 1, 0)
    sequence, starts = shuffled_cycles(seed, classes, first, spans)
    return sequence[starts[drawn] + (cycles - first[drawn]) * images + places]


def shuffled_cycles(
    seed: int, classes: ClassImages, first: Integers, spans: Integers
) -> tuple[Integers, Integers]:
    """Return ``spans`` (C,) cycles of each class from cycle ``first`` (C,) on, one after another.

    They are image numbers, class by class, and where each class begins among them, (C,). In cycle
    j the images of a class are in the order of their SplitMix64 outputs number j.
    """
    classes_of_cycles = np.repeat(np.arange(len(spans)), spans)
    numbers = first[classes_of_cycles] + counted(spans)
    sizes = classes.counts[classes_of_cycles]
    entries = np.repeat(classes.starts[classes_of_cycles], sizes) + counted(sizes)
    seeds = np.random.Philox(key=[seed, SHUFFLE_STREAM]).random_raw(len(classes.images))
    words = mixed(seeds[entries] + np.repeat(numbers, sizes).astype(np.uint64) * GOLDEN)
    order = np.lexsort((words, np.repeat(np.arange(len(sizes)), sizes)))
    lengths = spans * classes.counts
    return classes.images[entries[order]], np.cumsum(lengths) - lengths


def counted(sizes: Integers) -> Integers:
    """Return 0, 1, .. of each size in turn: 0, 1, 0, 1, 2 for sizes 2 and 3."""
    return np.arange(int(sizes.sum())) - np.repeat(np.cumsum(sizes) - sizes, sizes)


def mixed(states: Words) -> Words:
    """Return the outputs of SplitMix64 for its states."""
    z = (states ^ (states >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


class ImageOrders:
    """The orders of a trial's epochs, each a pure function of recipe, seed and epoch.

    Attributes:
        shown: images of each class, (C,), that the epochs behind ``counted`` drew.
        counted: number of epochs, the first ones.
    """

    def __init__(self, seed: int, recipe: Recipe, epochs: int, classes: ClassImages) -> None:
        self.seed, self.recipe, self.epochs, self.classes = seed, recipe, epochs, classes
        self.shown, self.counted = np.zeros_like(classes.counts), 0

    def order(self, epoch: int, factors: Numbers | None = None) -> Integers | None:
        """Return the order (N,) of ``epoch`` (1-based); None where it shows every image once.

        ``factors`` (C,) of the classes' probabilities are for independent draws alone.
        """
        probabilities = self.recipe.class_probabilities(epoch, self.epochs)
        if factors is not None:
            usual = self.recipe.class_probabilities_at(0.0)
            probabilities = factors * (usual if probabilities is None else probabilities)
        if probabilities is None:
            return None
        if self.recipe.draw == "independent":
            return sampled_order(self.seed, epoch, probabilities, self.classes)
        self.count_until(epoch)
        return cycled_order(self.seed, epoch, probabilities, self.classes, self.shown)

    def count_until(self, epoch: int) -> None:
        """Count what the epochs before ``epoch`` drew of each class.

        An epoch that shows every image once draws nothing.
        """
        if self.counted >= epoch:
            self.shown, self.counted = np.zeros_like(self.shown), 0
        for number in range(self.counted + 1, epoch):
            probabilities = self.recipe.class_probabilities(number, self.epochs)
            if probabilities is not None:
                drawn = drawn_classes(self.seed, number, probabilities, len(self.classes.images))
                self.shown = self.shown + np.bincount(drawn, minlength=len(self.shown))
        self.counted = epoch - 1
