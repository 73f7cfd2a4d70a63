"""An own training declares a function of the user's, and the class counts of its images."""

import dataclasses
import hashlib
import json
import re
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge, Le, MaxLen
from numpy.typing import NDArray

from spaces.parts.words import number_of
from spaces.validation import OneOf, Rule
from trainer.benchmarks.benchmark import ChosenOn, SafeName
from trainer.benchmarks.metrics import METRICS
from trainer.errors import BenchmarkError
from trainer.results import HalfCounts, Images

TRAINABLE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)
DIGITS = re.compile(r"[0-9a-f]{16}")
NOT_IDENTITY = ("name", "class_names", "code", "place", "dataset")
"""Fields of which no score depends, or which are allowed to change while a run goes on."""


def is_trainable(text: str) -> bool:
    return not text or TRAINABLE.fullmatch(text) is not None


@dataclass(frozen=True)
class OwnTraining:
    """A function that trains a network, how long, and what is known of its images.

    Raises BenchmarkError for fields that do not agree with each other.

    Attributes:
        trainable: MODULE:FUNCTION; empty where it is trained elsewhere, and told of at its end.
        epochs: that the function reports, 1 to this number.
        train_counts: training images of each class, (C,).
        half_counts: evaluated images of each class, (2, C): halves A and B, or validation and test
            images; all of them in the first where they come in one piece. None where the function
            reports an accuracy of all together.
        class_names: (C,); None where classes have no names.
        chosen_on: what the images that choose are called.
        metric: by which correct images are scored.
        test_held_out: the second of ``half_counts`` is a test set, of which the verdict alone
            speaks.
        code: 16 hexadecimal digits over the file that defines the function.
        place: folder from which the module is imported, besides those that Python knows; empty if
            none is needed.
        dataset: what the function is told that it trains on; empty where it is trained elsewhere.
    """

    name: SafeName
    trainable: Annotated[str, Rule("MODULE:FUNCTION, or empty", is_trainable)]
    epochs: Annotated[int, Ge(1), Le(10**6)]
    train_counts: Annotated[tuple[Annotated[Images, Ge(1)], ...], MaxLen(100_000)]
    half_counts: HalfCounts | None = None
    class_names: Annotated[tuple[Annotated[str, MaxLen(1000)], ...], MaxLen(100_000)] | None = None
    chosen_on: ChosenOn = "evaluated"
    metric: Annotated[str, OneOf(METRICS)] = "accuracy"
    test_held_out: bool = False
    code: Annotated[str, Rule("16 hexadecimal digits", DIGITS.fullmatch)] = "0" * 16
    place: Annotated[str, MaxLen(10_000)] = ""
    dataset: Annotated[str, MaxLen(1000)] = ""

    def __post_init__(self) -> None:
        classes = self.num_classes
        if classes < 2:
            raise BenchmarkError(f"class counts are of {classes} class; there must be at least 2")
        if len(set(self.train_counts)) == 1:
            raise BenchmarkError(
                f"every class has {number_of(self.train_counts[0], 'training image')}, "
                "which weighs all alike: class weights cannot act; give the counts of images in "
                "unequal numbers"
            )
        lengths = {len(n) for n in self.half_counts or ()} | {
            len(self.class_names or "x" * classes)
        }
        if lengths != {classes}:
            raise BenchmarkError(
                f"there are training images of {classes} classes, and names or evaluated images of "
                f"{', '.join(map(str, sorted(lengths - {classes})))}; give all of every class"
            )
        if METRICS[self.metric].uses_predicted:
            raise BenchmarkError(
                f"metric is {self.metric!r}, for which a function would have to report more than "
                "correct images; choose another"
            )

    @property
    def told(self) -> bool:
        """Whether it is trained elsewhere, and told of at its end."""
        return not self.trainable

    @property
    def num_classes(self) -> int:
        return len(self.train_counts)

    @property
    def train_images(self) -> int:
        return sum(self.train_counts)

    @property
    def counts(self) -> NDArray[np.int64]:
        """Training images of each class, int64 (C,)."""
        return np.array(self.train_counts, dtype=np.int64)

    @property
    def noise_sd(self) -> None:
        """The noise of its scores is not known before it is measured."""
        return None

    @property
    def shortened_from(self) -> None:
        """It has the length that it is given."""
        return None

    @property
    def in_halves(self) -> bool:
        """Whether correct images are reported by half."""
        return self.half_counts is not None and any(self.half_counts[1])

    def protocol_note(self) -> str:
        """What a result covers, in words."""
        images = f"{self.train_images} images of {self.num_classes} classes"
        if self.told:
            return f"trained elsewhere on {images}"
        return f"own training of {number_of(self.epochs, 'epoch')} on {images}"

    def to_dict(self) -> dict[str, Any]:
        """Every field as JSON-able values, but for its place on this machine."""
        fields = dataclasses.asdict(self)
        del fields["place"]
        content: dict[str, Any] = json.loads(json.dumps(fields))
        return content

    def fingerprint(self) -> str:
        """Return 16 hexadecimal digits over what is trained and scored, as far as it is declared.

        The function's code is not in it: whoever mends it goes on with the run, and is told.
        """
        fields = {k: v for k, v in self.to_dict().items() if k not in NOT_IDENTITY}
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:16]

    def data_fingerprint(self) -> str:
        """Return 16 hexadecimal digits over the numbers of images, as these are not looked at."""
        content = json.dumps([self.train_counts, self.half_counts])
        return hashlib.sha256(content.encode()).hexdigest()[:16]
