"""The spaces that can be searched are declared, with the domains of their parameters."""

from __future__ import annotations

from spaces.domains import Choice, Domain, Float, Space
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
    )
}
