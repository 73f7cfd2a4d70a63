"""Parameters of strategies have symbols and meanings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Parameter:
    """A parameter of a strategy, or a switch of a space, as people read it.

    Attributes:
        symbol: on screens.
        word: in which it is said.
        meaning: what its values do.
    """

    symbol: str
    word: str
    meaning: str

    def __str__(self) -> str:
        return f"{self.symbol}: {self.word}; {self.meaning}"


PARAMETERS: dict[str, Parameter] = {
    "exponent": Parameter("p", "steepness", "0: all classes alike; by itself: weights n^-p"),
    "link": Parameter(
        "lambda", "link", "how weights grow as classes get rarer; 0: as a power, 1: as a logarithm"
    ),
    "bend": Parameter("bend", "bend", "what makes the weights of frequent classes more alike"),
    "beta": Parameter(
        "beta", "effective number", "classes of far more than 1 / (1 - beta) images weigh alike"
    ),
    "nu": Parameter(
        "nu",
        "effective number",
        "classes of far more than nu times the images of the commonest class weigh alike",
    ),
    "split_quantile": Parameter(
        "s", "split", "where the tail ends and the head begins, a quantile of the class counts"
    ),
    "head_ratio": Parameter(
        "h", "head", "steepness in the head over that in the tail; 0: the head weighs alike"
    ),
    "weight_range": Parameter(
        "R", "range", "weight of the rarest class over that of the commonest, whatever p is"
    ),
    "shape_module": Parameter("shape_module", "shape", "whether kappa acts"),
    "shape": Parameter(
        "kappa", "shape", "of that growth; 0: straight, 1: S-shaped (raised cosine)"
    ),
    "bump_module": Parameter("bump_module", "bump", "whether b, m and sigma act"),
    "bump": Parameter("b", "bump", "classes around m weigh up to b times more, or less if b < 0"),
    "bump_center": Parameter("m", "bump's centre", "0: the commonest class, 1: the rarest"),
    "bump_width": Parameter("sigma", "bump's width", "on the same scale"),
    "clip_module": Parameter("clip_module", "clip", "whether clip_high acts"),
    "clip_low": Parameter(
        "clip_low",
        "floor",
        "no weight is below r^clip_low; r: range of the weights, the commonest class at 1",
    ),
    "clip_high": Parameter(
        "clip_high",
        "ceiling",
        "no weight is above r^clip_high; r: range of the weights, the commonest class at 1",
    ),
    "normalization": Parameter("normalization", "scale", "of all weights together"),
    "deferral": Parameter("deferral", "deferral", "whether the class weights act from later on"),
    "weight_begin": Parameter(
        "weight_begin", "begin", "share of training after which the class weights begin to act"
    ),
    "weight_span": Parameter(
        "weight_span", "span", "share of the rest after which they act in full; 0: at once"
    ),
    "ramp_power": Parameter("ramp_power", "rise", "below 1: early in the span, above 1: late"),
    "sampler": Parameter("sampler", "sampling", "whether images are drawn by class"),
    "sampling_exponent": Parameter(
        "sampling_exponent", "image weights", "n^-p; 0: each image once, 1: all classes alike often"
    ),
    "draw": Parameter(
        "draw", "draw", "independent: with replacement; cycled: all images of a class in turn"
    ),
    "sampling_deferral": Parameter(
        "sampling_deferral", "deferral", "whether images are drawn by class from later on"
    ),
    "sampling_begin": Parameter(
        "sampling_begin", "begin", "share of training after which images are drawn by class"
    ),
    "sampling_span": Parameter(
        "sampling_span", "span", "share of the rest after which they are in full; 0: at once"
    ),
    "mix": Parameter("mix", "mixture", "power: image weights v^tau; mixture: tau of draws by v"),
    "loss": Parameter("loss", "loss", "which of its terms act"),
    "additive": Parameter(
        "additive", "logit adjustment", "times the log share of each class, added in the loss"
    ),
    "multiplicative": Parameter(
        "multiplicative", "logit factors", "in the loss, (n / n_max)^multiplicative"
    ),
    "margin": Parameter("margin", "margin", "by which an image of the rarest class has to win"),
    "margin_power": Parameter(
        "margin_power", "margins", "of other classes fall as n^-margin_power"
    ),
    "scale": Parameter("scale", "logit scale", "factor of all logits in the loss"),
    "focusing": Parameter(
        "focusing", "focal loss", "loss times (1 - p)^focusing; well classified images count less"
    ),
    "smoothing": Parameter("smoothing", "smoothing", "whether labels are smoothed"),
    "smoothing_head": Parameter(
        "smoothing_head", "smoothing", "share of a label of the commonest class given to all"
    ),
    "smoothing_tail": Parameter("smoothing_tail", "smoothing", "the same of the rarest class"),
    "curriculum": Parameter("curriculum", "curriculum", "whether images are opened by and by"),
    "order": Parameter("order", "order", "which images of each class are opened first"),
    "difficulty": Parameter("difficulty", "difficulty", "by what an image of a class is hard"),
    "first": Parameter("first", "open share", "of each class's images, at the beginning"),
    "begin": Parameter("begin", "begin", "share of training after which the open share grows"),
    "full_at": Parameter(
        "full_at", "all open", "share of training after which all images are open"
    ),
    "pace_power": Parameter(
        "pace_power", "pace", "below 1: the open share grows early, above 1: late"
    ),
    "feedback": Parameter("feedback", "feedback", "whether classes follow their training losses"),
    "onto": Parameter("onto", "feedback", "what follows the losses: class weights or draws"),
    "strength": Parameter("strength", "power", "with which classes follow their training losses"),
    "memory": Parameter(
        "memory", "running losses", "share of the value before; 0: the last epoch alone"
    ),
    "limit": Parameter(
        "limit", "largest factor", "of a class that follows its loss; the least is 1 / limit"
    ),
    "spared": Parameter(
        "spared", "spared", "share of each class's images, of the highest losses, not shown"
    ),
    "feedback_begin": Parameter(
        "feedback_begin", "begin", "share of training after which classes follow their losses"
    ),
    "head": Parameter("head", "classifier", "linear, or cosines of features and rows"),
    "branch": Parameter("branch", "branch", "whether an auxiliary task trains the features, too"),
    "auxiliary": Parameter(
        "auxiliary", "auxiliary task", "classes of images shown once each, or their rotation"
    ),
    "auxiliary_weight": Parameter("auxiliary_weight", "auxiliary weight", "of the task's loss"),
    "alone_until": Parameter(
        "alone_until", "pretraining", "share of training in which the auxiliary task is alone"
    ),
    "mixing": Parameter("mixing", "mixing", "whether images get boxes of others"),
    "mixing_probability": Parameter(
        "mixing_probability", "mixing", "share of the images that get a box of another one"
    ),
    "mixing_off": Parameter(
        "mixing_off", "mixing's pause", "share of training without it, first and last"
    ),
    **{
        f"tail_{name}": Parameter(f"tail_{name}", f"tail's {name}", what)
        for name, what in (
            ("shift", "largest further shift of the rarest class, share of the side"),
            ("flip", "probability that an image of the rarest class is mirrored"),
            ("cutout", "side of the square erased in images of the rarest class, share"),
        )
    },
    "retrain_from": Parameter(
        "retrain_from", "re-training", "share of training after which the classifier starts anew"
    ),
    "adjustment": Parameter(
        "adjustment", "adjustment after training", "times the log share, taken from each logit"
    ),
    "tau_norm": Parameter(
        "tau_norm", "tau-normalisation after training", "classifier rows over their norm^tau_norm"
    ),
}
"""Name of a field of a strategy or of a switch -> what it is, in the order of the steps."""


def legend(described: Iterable[str]) -> list[Parameter]:
    """Return the parameters whose symbols are in texts of `Strategy.describe`, each once."""
    shown = {word.split("=")[0] for text in described for word in text.split() if "=" in word}
    return [parameter for parameter in PARAMETERS.values() if parameter.symbol in shown]
