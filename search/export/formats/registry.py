"""Formats of class weights by name, with the scale that each tool's loss needs.

It imports nothing, because help shows it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

MEAN_SAMPLE, SUM_TO_CLASSES, SUM_TO_ONE = "mean-sample", "sum-to-classes", "sum-to-one"
SCALES: Mapping[str, str] = {
    MEAN_SAMPLE: "their mean over the training images is 1",
    SUM_TO_CLASSES: "they sum to the number of classes",
    SUM_TO_ONE: "they sum to 1",
}
ZERO_COUNTS = ("error", "ignore", "smallest")
"""Rules for classes without images, of which the first refuses them."""


@dataclass(frozen=True)
class Format:
    """A format of class weights, whose text is in `search.export.formats.texts`.

    Attributes:
        scale: of `SCALES`, unless a person asks for another.
        summary: what it is for, in a few words.
        counts_itself: the tool counts images and scales the weights, so that neither can be given.
    """

    scale: str
    summary: str
    counts_itself: bool = False


FORMATS: Mapping[str, Format] = {
    "torch": Format(SUM_TO_CLASSES, "for CrossEntropyLoss(weight=...)"),
    "numpy": Format(MEAN_SAMPLE, "an array"),
    "keras": Format(MEAN_SAMPLE, "for fit(class_weight=...)"),
    "names": Format(MEAN_SAMPLE, "JSON by class name"),
    "ultralytics": Format(SUM_TO_CLASSES, "cls_pw", counts_itself=True),
    "sample-weights": Format(MEAN_SAMPLE, "a weight for each of --labels"),
}
