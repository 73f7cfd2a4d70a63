"""The spaces that can be searched are declared, with the domains of their parameters."""

from __future__ import annotations

from spaces.domains import Choice, Domain, Float, Space
from spaces.parts.curriculum import MEASURED, ORDERS
from spaces.parts.feedback import ONTO
from spaces.schedule import DRAWS, MIXES
from spaces.weighting.family import NORMALIZATIONS
from spaces.weighting.named import BASELINES

_OFF_ON = ("off", "on")

_EXPONENT: Domain = Float("exponent", 0.05, 1.25)
_LINK: Domain = Float("link", 0.0, 1.0)
# One convex mechanism at a time: effective number and split are near-aliases of each other.
_BEND: tuple[Domain, ...] = (
    Choice("bend", ("none", "effective", "split")),
    Float("nu", 0.05, 10.0, log=True, when=("bend", "effective")),
    Float("split_quantile", 0.2, 0.8, when=("bend", "split")),
    Float("head_ratio", 0.0, 1.0, when=("bend", "split")),
)
_MODULES: tuple[Domain, ...] = (
    Choice("shape_module", _OFF_ON),
    Float("shape", 0.0, 1.0, when=("shape_module", "on")),
    Choice("bump_module", _OFF_ON),
    Float("bump", -0.3, 0.6, when=("bump_module", "on")),
    Float("bump_center", 0.3, 0.8, when=("bump_module", "on")),
    Float("bump_width", 0.08, 0.25, log=True, when=("bump_module", "on")),
    Choice("clip_module", _OFF_ON),
    Float("clip_high", 0.6, 1.0, when=("clip_module", "on")),
)
_NORMALIZATION: Domain = Choice("normalization", NORMALIZATIONS, inert_when_scale_free=True)

_CORE: tuple[Domain, ...] = (_EXPONENT, *_BEND, _NORMALIZATION)

_SCHEDULE: tuple[Domain, ...] = (
    Choice("deferral", _OFF_ON),
    Float("weight_begin", 0.0, 0.9, when=("deferral", "on")),
    Float("weight_span", 0.0, 1.0, when=("deferral", "on")),
    Float("ramp_power", 0.3, 3.0, log=True, when=("deferral", "on")),
)
_SAMPLING: tuple[Domain, ...] = (
    Choice("sampler", _OFF_ON),
    Float("sampling_exponent", 0.05, 1.25, when=("sampler", "on")),
    Choice("draw", DRAWS, when=("sampler", "on")),
    Choice("sampling_deferral", _OFF_ON, when=("sampler", "on")),
    Float("sampling_begin", 0.0, 0.9, when=("sampling_deferral", "on")),
    Float("sampling_span", 0.0, 1.0, when=("sampling_deferral", "on")),
    Choice("mix", MIXES, when=("sampling_deferral", "on")),
)
_LOSS: tuple[Domain, ...] = (
    Choice("loss", ("ce", "shifted", "focal", "ldam")),
    Float("additive", 0.0, 2.0, when=("loss", "shifted")),
    Float("multiplicative", 0.0, 0.4, when=("loss", "shifted")),
    Float("focusing", 0.5, 3.0, when=("loss", "focal")),
    Float("margin", 0.1, 0.8, when=("loss", "ldam")),
    Float("margin_power", 0.1, 0.5, when=("loss", "ldam")),
    Choice("smoothing", _OFF_ON),
    Float("smoothing_head", 0.0, 0.4, when=("smoothing", "on")),
    Float("smoothing_tail", 0.0, 0.1, when=("smoothing", "on")),
)
_CURRICULUM: tuple[Domain, ...] = (
    Choice("curriculum", _OFF_ON),
    Choice("order", tuple(word for word in ORDERS if word != "none"), when=("curriculum", "on")),
    Choice("difficulty", MEASURED, when=("curriculum", "on")),
    Float("first", 0.3, 0.9, when=("curriculum", "on")),
    Float("full_at", 0.2, 0.9, when=("curriculum", "on")),
    Float("pace_power", 0.3, 3.0, log=True, when=("curriculum", "on")),
)
_FEEDBACK: tuple[Domain, ...] = (
    Choice("feedback", _OFF_ON),
    Choice("onto", tuple(word for word in ONTO if word != "none"), when=("feedback", "on")),
    Float("strength", 0.25, 2.0, log=True, when=("feedback", "on")),
    Float("memory", 0.5, 0.95, when=("feedback", "on")),
    Float("feedback_begin", 0.0, 0.6, when=("feedback", "on")),
)
_BRANCHES: tuple[Domain, ...] = (
    Choice("branch", _OFF_ON),
    Choice("auxiliary", ("regular", "rotation"), when=("branch", "on")),
    Float("auxiliary_weight", 0.1, 3.0, log=True, when=("branch", "on")),
    Float("alone_until", 0.0, 0.5, when=("auxiliary", "rotation")),
)
_MIXING: tuple[Domain, ...] = (  # beside a branch it would need too many kinds of steps
    Choice("mixing", _OFF_ON, when=("branch", "off")),
    Float("mixing_probability", 0.2, 0.8, when=("mixing", "on")),
)

_CONTROLS = ("uniform", "sqrt_inverse", "inverse")
_NAMED_SAMPLING = ("cb_sampling", "sqrt_sampling", "progressive_sampling", "drs")
_NAMED_LOSSES = ("cb_focal", "label_aware", "logit_adjusted", "vs", "ldam", "ldam_drw")
_NAMED_CURRICULA = ("curriculum_easy", "curriculum_hard", "curriculum_random", "feedback_weights")
_NAMED_BRANCHES = ("two_branch", "two_branch_ssl")
_NAMED_TAILS = ("cmo", "tail_cutout", "crt")

SPACES: dict[str, Space] = {
    space.name: space
    for space in (
        Space(
            name="core",
            domains=_CORE,
            description="exponent, one convex bend (effective number or head/tail split)",
            named=BASELINES,
        ),
        Space(
            name="full",
            domains=(_EXPONENT, _LINK, *_BEND, *_MODULES, _NORMALIZATION),
            description="core, with the link and the shape, bump and clip modules",
            named=BASELINES,
        ),
        Space(
            name="schedule",
            domains=(*_CORE, *_SCHEDULE),
            description="core, with class weights that come into force during training",
            named=(*BASELINES, "drw"),
        ),
        Space(
            name="sampling",
            domains=(*_CORE, *_SAMPLING),
            description="core, with images that are drawn by class",
            named=(*_CONTROLS, *_NAMED_SAMPLING),
        ),
        Space(
            name="losses",
            domains=(*_CORE, *_LOSS),
            description="core, with other losses: shifted logits, focal, margins, smoothing",
            named=(*_CONTROLS, *_NAMED_LOSSES),
        ),
        Space(
            name="curriculum",
            domains=(*_CORE, *_CURRICULUM, *_FEEDBACK),
            description="core, with images opened by and by, and classes that follow their losses",
            named=(*_CONTROLS, *_NAMED_CURRICULA),
        ),
        Space(
            name="branches",
            domains=(*_CORE, *_SAMPLING, *_BRANCHES),
            description="sampling, with an auxiliary task that trains the features, too",
            named=(*_CONTROLS, "cb_sampling", *_NAMED_BRANCHES),
        ),
        Space(
            name="strategies",
            domains=(
                *(*_CORE, *_SCHEDULE, *_SAMPLING, *_LOSS),
                *(*_CURRICULUM, *_FEEDBACK, *_BRANCHES, *_MIXING),
            ),
            description="schedule, sampling, losses, curriculum, branches and mixing together",
            named=(
                *(*_CONTROLS, "drw", *_NAMED_SAMPLING, *_NAMED_LOSSES),
                *(*_NAMED_CURRICULA, *_NAMED_BRANCHES, *_NAMED_TAILS),
            ),
        ),
    )
}
