"""A strategy at the end of a training, and what it needs beside constant class weights."""

from spaces import Auxiliary, Curriculum, Recipe, Sampling, Strategy
from spaces.counts import FloatArray


def final_weights(recipe: Recipe) -> FloatArray:
    """The class weights of the last epoch, float64 (C,), summing to C."""
    return recipe.loss_weights_at(recipe.weights_ramp.tau(1.0))


def final_images(recipe: Recipe) -> FloatArray:
    """The number of images of each class that the last epoch is expected to show, float64 (C,)."""
    shares = recipe.class_probabilities_at(recipe.sampling_ramp.tau(1.0))
    return shares * float(sum(recipe.counts))


ABSENT = "which this module does NOT have; the trainer's --strategy best.json trains with it"


def requirements(strategy: Strategy) -> list[str]:
    """What a training needs beside constant class weights, with the exported name for each."""
    loss = Strategy(
        logits=strategy.logits, smoothing=strategy.smoothing, focusing=strategy.focusing
    )
    parts = (
        (
            not strategy.weights.is_constant,
            f"class weights that change between epochs ({strategy.weights.describe()}): weights_at",
        ),
        (
            strategy.sampling != Sampling(),
            f"images drawn by class ({strategy.sampling.describe()}): EpochSampler",
        ),
        (
            strategy.curriculum != Curriculum(),
            f"images opened by and by ({strategy.curriculum.describe()}): CurriculumSampler, "
            f"around an EpochSampler{_running_loss(strategy)}",
        ),
        (
            strategy.feedback.acts,
            "what follows from the losses of the training itself "
            f"({strategy.feedback.describe()}), {ABSENT}",
        ),
        (
            strategy.head == "cosine",
            "a last layer whose logits are cosines of features and rows: CosineClassifier",
        ),
        (
            strategy.auxiliary != Auxiliary(),
            f"a second classifier ({strategy.auxiliary.describe()}), {ABSENT}",
        ),
        *(
            (bool(part.describe()), f"{what} ({part.describe()}), {ABSENT}")
            for what, part in (
                ("boxes of other images and their labels", strategy.mixing),
                ("augmentation by class", strategy.augmentation),
            )
        ),
        (
            strategy.retrain_from > 0,
            f"the classifier trained anew at last (retrain_from={strategy.retrain_from:g}), "
            f"{ABSENT}",
        ),
        (loss != Strategy(), f"a loss of its own ({loss.describe()}): loss_at"),
        (
            strategy.tau_norm > 0,
            f"the trained last layer normalised (tau_norm={strategy.tau_norm:g}): "
            "adjust_classifier",
        ),
        (
            strategy.adjustment > 0,
            f"the trained network's logits adjusted (adjustment={strategy.adjustment:g}): adjust",
        ),
    )
    return [words for present, words in parts if present]


def _running_loss(strategy: Strategy) -> str:
    """What a curriculum by loss ranks images by; nothing of other curricula."""
    if not strategy.curriculum.follows_losses:
        return ""
    memory = strategy.feedback.memory
    return (
        f", whose difficulty is, from epoch 2 on, the moving average {memory:g} a + {1 - memory:g} "
        "l of each image's cross entropy l, and NaN until it is shown"
    )
