"""The training strategies of the literature that the family of strategies holds are named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from spaces.loss import Logits, Smoothing
from spaces.parts.auxiliary import Auxiliary
from spaces.parts.curriculum import Curriculum, Order
from spaces.parts.feedback import Feedback
from spaces.parts.mixing import Augmentation, Mixing
from spaces.schedule import Ramp, Sampling, Schedule
from spaces.strategy import Strategy
from spaces.weighting.named import NAMED

PUBLISHED_PROTOCOL = (
    "ResNet-32, imbalance ratio 100, 200 epochs, batch 128, the same images; learning rate .1 with "
    "a warm-up of 5 epochs, times .01 at epochs 160 and 180, weight decay 2e-4, where this "
    "protocol has a cosine and weight decay 5e-4"
)
"""How the published figures of strategies were got, as far as their sources say it."""

PUBLISHED_ON = "resnet32-cifar100lt-ldam"
"""The benchmark with that protocol."""

GALLERY = "BagofTricks-LT gallery"
OPENLT = "OpenLT README"


@dataclass(frozen=True)
class Published:
    """Published test accuracies of a strategy.

    Attributes:
        source: who reports them.
        accuracies: benchmark -> percent.
        differs: what else than `PUBLISHED_PROTOCOL` differs from the strategy here; "" if nothing.
    """

    source: str
    accuracies: Mapping[str, float]
    differs: str = ""


@dataclass(frozen=True)
class NamedStrategy:
    """A known training strategy: its source, its formula, and what was published of it."""

    name: str
    strategy: Strategy
    source: str
    formula: str
    published: tuple[Published, ...] = field(default=())

    @property
    def definition(self) -> str:
        """Formula and source in one line, for beside the name."""
        return f"{self.formula} ({self.source})"


def _on_cifar(
    source: str, cifar10: float | None, cifar100: float | None, differs: str = ""
) -> Published:
    found = {"resnet32-cifar10lt": cifar10, "resnet32-cifar100lt": cifar100}
    if source in (GALLERY, OPENLT):  # of the others, the whole protocol is not known
        found[PUBLISHED_ON] = cifar100
    return Published(source, {name: x for name, x in found.items() if x is not None}, differs)


_INVERSE = NAMED["inverse"].weighting
_SQRT_INVERSE = NAMED["sqrt_inverse"].weighting
_DEFERRED = Ramp(begin=0.8, end=0.8)
_KANG = "Kang et al., Decoupling Representation and Classifier, ICLR 2020"
_CAO = "Cao et al., Learning Imbalanced Datasets with LDAM, NeurIPS 2019"
_PUBLISHED_WEIGHTINGS = {"inverse": (_on_cifar(GALLERY, 68.30, 32.27),)}

_WEIGHTINGS = tuple(
    NamedStrategy(
        name=named.name,
        strategy=Strategy.of(named.weighting),
        source=named.source,
        formula=f"class weights {named.formula}",
        published=_PUBLISHED_WEIGHTINGS.get(named.name, ()),
    )
    for named in NAMED.values()
)

_SCHEDULES = (
    NamedStrategy(
        name="drw",
        strategy=Strategy(weights=Schedule(_INVERSE, _DEFERRED)),
        source=f"deferred re-weighting; {_CAO}, there with effective weights",
        formula="class weights 1 for .8 of the epochs, then 1 / n",
        published=(_on_cifar(GALLERY, 74.82, 41.62),),
    ),
    NamedStrategy(
        name="drs",
        strategy=Strategy(sampling=Sampling(_INVERSE, _DEFERRED)),
        source=f"deferred re-sampling; {_CAO}",
        formula="each image once for .8 of the epochs, then P(class) = 1 / C",
        published=(_on_cifar(GALLERY, 75.07, 40.64),),
    ),
    NamedStrategy(
        name="cb_sampling",
        strategy=Strategy(sampling=Sampling(_INVERSE)),
        source=f"class-balanced sampling; Shen et al., ECCV 2016; {_KANG}",
        formula="P(class) = 1 / C",
        published=(_on_cifar(GALLERY, 72.45, 35.24),),
    ),
    NamedStrategy(
        name="sqrt_sampling",
        strategy=Strategy(sampling=Sampling(_SQRT_INVERSE)),
        source=f"square-root sampling; Mahajan et al., ECCV 2018; {_KANG}",
        formula="P(class) ~ n^(1/2)",
        published=(_on_cifar(GALLERY, 71.42, 36.79),),
    ),
    NamedStrategy(
        name="progressive_sampling",
        strategy=Strategy(sampling=Sampling(_INVERSE, Ramp(0.0, 1.0), "mixture")),
        source=f"progressively balanced sampling; {_KANG}",
        formula="P(class) = (1 - x) n / N + x / C, x the progress of training in [0, 1]",
        published=(_on_cifar(GALLERY, 71.98, 39.04),),
    ),
)

_LOSSES = (
    NamedStrategy(
        name="cb_focal",
        strategy=Strategy(weights=Schedule(NAMED["effective"].weighting), focusing=1.0),
        source="class-balanced focal loss; Cui et al., CVPR 2019; Lin et al., ICCV 2017",
        formula="class weights (1 - beta) / (1 - beta^n), beta = .9999, times 1 - p_y",
        published=(
            _on_cifar(GALLERY, 75.20, 38.56),
            _on_cifar("Cui et al., CVPR 2019", 74.6, 39.6, "sigmoids in place of a softmax"),
        ),
    ),
    NamedStrategy(
        name="label_aware",
        strategy=Strategy(smoothing=Smoothing(head=0.4, tail=0.1)),
        source="label-aware smoothing; Zhong et al., MiSLAS, CVPR 2021",
        formula="eps = .1 + .3 sin(pi / 2 (n - n_min) / (n_max - n_min)) of a label to all classes",
        published=(_on_cifar(GALLERY, 72.51, 37.68),),
    ),
    NamedStrategy(
        name="logit_adjusted",
        strategy=Strategy(logits=Logits(additive=1.0)),
        source="logit-adjusted loss; Menon et al., ICLR 2021; balanced softmax of Ren et al., 2020",
        formula="logits z + ln(n / N) in the loss",
        published=(
            _on_cifar(GALLERY, 77.54, 42.99),
            _on_cifar("Menon et al., ICLR 2021", 77.7, 43.89),
            _on_cifar(OPENLT, None, 45.3),
        ),
    ),
    NamedStrategy(
        name="vs",
        strategy=Strategy(logits=Logits(additive=1.0, multiplicative=0.15)),
        source="vector-scaling loss; Kini et al., NeurIPS 2021",
        formula="logits (n / n_max)^.15 z + ln(n / N) in the loss",
        published=(
            _on_cifar("a secondary report", 80.29, 42.67, "strengths tuned for each data set"),
        ),
    ),
    NamedStrategy(
        name="ldam",
        strategy=Strategy(logits=Logits(margin=0.5)),
        source=f"label-distribution-aware margin; {_CAO}, here with the plain classifier",
        formula="logit z_y - .5 (n_min / n_y)^(1/4) of the image's class in the loss",
        published=(_on_cifar(GALLERY, 73.66, 38.88, "a cosine classifier with scale 30"),),
    ),
    NamedStrategy(
        name="ldam_drw",
        strategy=Strategy(
            weights=Schedule(NAMED["effective"].weighting, _DEFERRED),
            logits=Logits(margin=0.5, scale=30.0),
            head="cosine",
        ),
        source=f"LDAM-DRW; {_CAO}",
        formula=(
            "30 (cos_y - .5 (n_min / n_y)^(1/4)) of the image's class and 30 cos of the others in "
            "the loss; class weights of the effective number, beta = .9999, after .8 of the epochs"
        ),
        published=(_on_cifar(GALLERY, 77.73, 42.47), _on_cifar(OPENLT, None, 42.9)),
    ),
)

_TWO_BRANCH = "To Balance or Not to Balance, 2019 (arXiv 1912.04486), of which the weight is open"
_BRANCHES = (
    NamedStrategy(
        name="two_branch",
        strategy=Strategy(sampling=Sampling(_INVERSE), auxiliary=Auxiliary("regular")),
        source=_TWO_BRANCH,
        formula=(
            "P(class) = 1 / C; a second classifier learns from each image once, and trains the "
            "features, too"
        ),
    ),
    NamedStrategy(
        name="two_branch_ssl",
        strategy=Strategy(sampling=Sampling(_INVERSE), auxiliary=Auxiliary("rotation")),
        source=f"{_TWO_BRANCH}; rotations: Gidaris et al., ICLR 2018",
        formula=(
            "P(class) = 1 / C; a second classifier learns the quarter turn of each image once, and "
            "trains the features, too"
        ),
    ),
)


def _curriculum(order: Order, words: str, source: str) -> NamedStrategy:
    return NamedStrategy(
        name=f"curriculum_{order}",
        strategy=Strategy(curriculum=Curriculum(order)),
        source=source,
        formula=f"of each class {words}, from .4 of the images, and all after half of the epochs",
    )


_CURRICULA = (
    _curriculum("easy", "images with little texture first", "Bengio et al., ICML 2009"),
    _curriculum("hard", "images with much texture first", "anti-curriculum; Wu et al., ICLR 2021"),
    _curriculum("random", "images in a random order", "the control; Wu et al., ICLR 2021"),
)

_FEEDBACK = (
    NamedStrategy(
        name="feedback_weights",
        strategy=Strategy(feedback=Feedback("weights", ramp=Ramp(0.1, 0.3))),
        source="after class-wise difficulty; Sinha et al., ACCV 2020, there by validation accuracy",
        formula="class weights m / mean m in [1/4, 4], m the running training loss of a class",
    ),
)
_TAILS = (
    NamedStrategy(
        name="cmo",
        strategy=Strategy(mixing=Mixing(0.5)),
        source="context-rich minority oversampling; Park et al., CVPR 2022",
        formula=(
            "half of the images get a box of an image whose class is drawn with P = 1 / C, and "
            "its label by area; off in the first and the last .015 of the epochs"
        ),
    ),
    NamedStrategy(
        name="tail_cutout",
        strategy=Strategy(augmentation=Augmentation(cutout=0.25)),
        source="cutout of DeVries and Taylor, 2017, here by class",
        formula="erased squares of .25 of the side times ln(n_max / n) / ln(n_max / n_min)",
    ),
    NamedStrategy(
        name="crt",
        strategy=Strategy(sampling=Sampling(_INVERSE, Ramp(0.9, 0.9)), retrain_from=0.9),
        source=f"classifier re-training; {_KANG}",
        formula=(
            "each image once for .9 of the epochs; then the classifier alone, anew, with "
            "P(class) = 1 / C"
        ),
        published=(_on_cifar(GALLERY, 74.99, 40.26, "more epochs for the second stage"),),
    ),
)

_MEMBERS = (
    NamedStrategy(
        name="ce",
        strategy=Strategy(),
        source="plain cross-entropy; as class weights it is called uniform",
        formula="-ln p_y",
        published=(_on_cifar(GALLERY, 70.36, 38.32), _on_cifar(OPENLT, None, 40.3)),
    ),
    *_WEIGHTINGS,
    *_SCHEDULES,
    *_LOSSES,
    *_CURRICULA,
    *_FEEDBACK,
    *_BRANCHES,
    *_TAILS,
    NamedStrategy(
        name="tau_norm",
        strategy=Strategy(tau_norm=1.0),
        source=f"tau-normalised classifier; {_KANG}",
        formula="plain cross-entropy; after training row c of the classifier over its norm",
        published=(_on_cifar(GALLERY, 72.70, 40.96),),
    ),
)

STRATEGIES: dict[str, NamedStrategy] = {member.name: member for member in _MEMBERS}
