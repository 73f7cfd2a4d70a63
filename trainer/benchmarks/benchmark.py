"""A benchmark declares what is trained: network, data set, long tail and fixed protocol."""

import dataclasses
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
from annotated_types import Ge, Gt, Le, Lt
from numpy.typing import NDArray

from spaces.parts.words import number_of
from spaces.validation import OneOf, Rule
from trainer.benchmarks.metrics import METRICS
from trainer.benchmarks.pretrained import Pretrained
from trainer.benchmarks.schedules import SCHEDULES
from trainer.data.longtail import long_tail_counts, ranked_counts
from trainer.data.raw import FolderSpec
from trainer.data.sources import OWN_IMAGES, SOURCES
from trainer.errors import BenchmarkError

PREPARED_FORMAT = 1
"""Of the file that prepared.prepare writes; a new layout gets a new number."""
OWN_PREPARED_FORMAT = 2
"""Of that file for a user's own images; other pixels of the same images get a new number too."""
SAFE_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}")
SafeName: TypeAlias = Annotated[
    str,
    Rule(
        "at most 200 letters, digits, '.', '_' and '-', not starting with '.'", SAFE_NAME.fullmatch
    ),
]
"""Of a benchmark; it is part of names of files."""
MOST_CLASSES = 100_000
"""As many as a run can put on record."""
ROLES = ("public", "hidden", "trial")
ChosenOn: TypeAlias = Literal["test", "validation", "evaluated"]
"""What the images that choose epochs and weightings are called."""

AtLeastOne: TypeAlias = Annotated[int, Ge(1)]
ImbalanceRatio: TypeAlias = Annotated[float, Ge(1)]
NoiseSd: TypeAlias = Annotated[float, Ge(0.001), Le(100)]
"""Points of a score in percent."""


@dataclass(frozen=True)
class Benchmark:
    """A network on long-tailed images under a fixed protocol: nothing in it is searched.

    The types and ranges of the fields are read by `spaces.validation.checked`. Raises
    BenchmarkError for fields that do not agree with each other.

    Attributes:
        network: a key of models.NETWORKS.
        dataset: a key of data.sources.SOURCES.
        imbalance_ratio: largest over smallest class count, imposed; None keeps a user's images
            as they are.
        max_count: images of the most frequent class; None exactly when imbalance_ratio is.
        train_images: N, which the prepared data must have.
        padding: pixels of zeros around an image, before the random crop.
        flip: whether training mirrors images at random.
        mean, std: per channel, of pixels scaled to 0..1; None measures the training images.
        epochs: length of the training and of its learning-rate schedule.
        subset_seed: which images are kept; it belongs to the benchmark, not to a trial.
        folder: what was found of a user's own images; None for the other data sets.
        role: "public" or "hidden" (to be judged on once, at the end) on the
            leaderboard; "trial" for what is on none.
        shortened_from: the protocol's epochs if `epochs` are fewer, else None.
        noise_sd: standard deviation of the best score over training seeds, points of the metric,
            where it is known.
        metric: a key of metrics.METRICS, by which a network is scored after every epoch.
        pretrained: weights that the network begins with, its head apart; None: random ones.
        test_held_out: False: all evaluated images choose, in two stratified halves A and B. True:
            half A of them is the validation split, which chooses, and half B the test set, which
            the verdict alone speaks of.
        schedule: of the learning rate, a key of schedules.SCHEDULES.
    """

    name: SafeName
    network: str
    dataset: Annotated[str, OneOf(SOURCES)]
    num_classes: Annotated[int, Ge(2)]
    imbalance_ratio: ImbalanceRatio | None
    max_count: AtLeastOne | None
    train_images: AtLeastOne
    resolution: Annotated[int, Ge(1), Le(10_000)]
    channels: AtLeastOne
    padding: Annotated[int, Ge(0)]
    flip: bool
    mean: tuple[Annotated[float, Ge(0), Le(1)], ...] | None
    std: tuple[Annotated[float, Ge(1e-6), Le(1)], ...] | None
    epochs: Annotated[int, Ge(1), Le(10**6)] = 200
    batch_size: AtLeastOne = 128
    learning_rate: Annotated[float, Gt(0), Le(1e6)] = 0.1
    momentum: Annotated[float, Ge(0), Lt(1)] = 0.9
    weight_decay: Annotated[float, Ge(0), Le(1e6)] = 5e-4
    subset_seed: Annotated[int, Ge(0)] = 0
    folder: FolderSpec | None = None
    role: Annotated[str, OneOf(ROLES)] = "trial"
    shortened_from: AtLeastOne | None = None
    noise_sd: NoiseSd | None = None
    metric: Annotated[str, OneOf(METRICS)] = "accuracy"
    test_held_out: bool = False
    schedule: Annotated[str, OneOf(SCHEDULES)] = "cosine"
    pretrained: Pretrained | None = None

    def __post_init__(self) -> None:
        for key, holds, rule in self._rules():
            if not holds:
                raise BenchmarkError(
                    f"{key} is {getattr(self, key)!r} in benchmark {self.name!r}; it must be {rule}"
                )

    def _rules(self) -> Iterator[tuple[str, bool, str]]:
        """A field's name, whether it agrees with the other fields, and the rule."""
        own, ratio = self.dataset in OWN_IMAGES, self.imbalance_ratio
        yield "num_classes", self.num_classes <= MOST_CLASSES, f"at most {MOST_CLASSES}"
        yield "padding", self.padding <= self.resolution, "at most the resolution"
        both = (self.max_count is None) == (ratio is None)
        yield "max_count", both, "given exactly when imbalance_ratio is"
        yield "folder", (self.folder is not None) == own, "given for a user's own images only"
        yield "imbalance_ratio", own or ratio is not None, "given"
        yield "std", (self.mean is None) == (self.std is None), "given exactly when mean is"
        for key in ("mean", "std"):
            values = getattr(self, key)
            rule = f"{self.channels} numbers, one for each channel"
            yield key, values is None or len(values) == self.channels, rule

    @property
    def counts(self) -> NDArray[np.int64]:
        """Training images of each class, int64 (num_classes,), in label order.

        Known before any image is decoded. The labels of a user's images follow the names, so
        their counts need not fall from class to class.
        """
        if self.imbalance_ratio is None or self.max_count is None:
            assert self.folder is not None
            return np.array(self.folder.train_counts, dtype=np.int64)
        if self.folder is None:
            return long_tail_counts(self.max_count, self.imbalance_ratio, self.num_classes)
        return ranked_counts(self.folder.train_counts, self.max_count, self.imbalance_ratio)

    @property
    def chosen_on(self) -> ChosenOn:
        """Which images weightings and epochs are chosen on: "validation" or "test"."""
        return "validation" if self.folder and self.folder.val is not None else "test"

    def notes(self) -> tuple[str, ...]:
        """What a person should know of the images that were found; nothing on built-in ones."""
        return self.folder.notes if self.folder else ()

    def to_dict(self) -> dict[str, Any]:
        """Every field as JSON-able values, for the story of a result.

        A user's images appear without their place on this machine, and without what follows from
        the rest; the usual schedule is left out, as it was before there were others.
        """
        fields = dataclasses.asdict(self)
        if self.schedule == "cosine":
            del fields["schedule"]
        if self.folder is not None:
            for key in ("root", "evaluated_counts", "notes"):
                del fields["folder"][key]
            if not self.folder.scenarios:
                del fields["folder"]["scenarios"]
        if self.pretrained is None:
            del fields["pretrained"]
        else:
            del fields["pretrained"]["path"]
        content: dict[str, Any] = json.loads(json.dumps(fields))
        return content

    def _identity(self) -> dict[str, Any]:
        """The fields of `to_dict` without those that came later and are at their defaults.

        So the fingerprints of runs and tables on record hold.
        """
        fields = self.to_dict()
        for key, usual in _LATER_FIELDS.items():
            if fields.get(key, usual) == usual:
                fields.pop(key, None)
        return fields

    def fingerprint(self) -> str:
        """16 hex digits over everything that defines training and scores, the data included."""
        fields = self._identity()
        del fields["name"], fields["role"], fields["noise_sd"]
        return _digest(fields)

    def data_fingerprint(self) -> str:
        """16 hex digits over what defines the prepared file, so benchmarks can share one."""
        fields = self._identity()
        content = {key: fields[key] for key in _DATA_FIELDS if key in fields}
        return _digest(
            content | {"format": OWN_PREPARED_FORMAT if self.folder else PREPARED_FORMAT}
        )

    @property
    def score_words(self) -> str:
        """What an epoch's score is, such as "test balanced accuracy"."""
        return f"{self.chosen_on} {METRICS[self.metric].words}"

    def with_epochs(self, epochs: int) -> "Benchmark":
        """A copy shortened to `epochs`, schedule included; its results say so."""
        full = self.shortened_from or self.epochs
        if not 1 <= epochs <= full:
            raise BenchmarkError(
                f"epochs = {epochs} must be between 1 and the {full} of benchmark {self.name!r}"
            )
        shortened_from = None if epochs == full else full
        return dataclasses.replace(self, epochs=epochs, shortened_from=shortened_from)

    def protocol_note(self) -> str:
        """How much of the protocol a result covers, such as "2 of 200 epochs (shortened)"."""
        if self.shortened_from is None:
            return f"full protocol of {number_of(self.epochs, 'epoch')}"
        return f"{self.epochs} of {self.shortened_from} epochs (shortened)"


_LATER_FIELDS = {"metric": "accuracy", "test_held_out": False, "schedule": "cosine"}
_DATA_FIELDS = (
    "dataset",
    "num_classes",
    "imbalance_ratio",
    "max_count",
    "resolution",
    "channels",
    "mean",
    "std",
    "subset_seed",
    "folder",
    "test_held_out",
)


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
