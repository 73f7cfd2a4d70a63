"""The spaces of a search are declared here: the family of class weightings and parameter spaces."""

from spaces.catalogue import SPACES
from spaces.counts import EMPTY_CLASS, check_counts
from spaces.domains import Choice, Domain, Float, ParameterValue, Space
from spaces.errors import UserError, WeightingError
from spaces.loss import POSTHOC, Logits, PostHoc, Smoothing
from spaces.measures import (
    check_recipe,
    schedule_shares,
    strategy_distance,
)
from spaces.parameters import PARAMETERS, Parameter, legend
from spaces.parts.auxiliary import Auxiliary
from spaces.parts.curriculum import Curriculum
from spaces.parts.feedback import Feedback
from spaces.parts.mixing import Augmentation, Mixing
from spaces.parts.words import in_words
from spaces.recipe import Recipe, Variant
from spaces.schedule import Ramp, Sampling, Schedule
from spaces.strategies import (
    PUBLISHED_ON,
    PUBLISHED_PROTOCOL,
    STRATEGIES,
    NamedStrategy,
    Published,
)
from spaces.strategy import CLASS_WEIGHTS, Strategy
from spaces.weighting.family import NORMALIZATIONS, Weighting
from spaces.weighting.measures import (
    canonical_weights,
    check_weights,
    effective_sample_fraction,
    gradient_shares,
    total_variation,
    weighting_key,
)
from spaces.weighting.named import (
    BASELINES,
    FORMER_NAMES,
    NAMED,
    NamedWeighting,
    present_name,
    renamed,
)

__all__ = [
    "BASELINES",
    "CLASS_WEIGHTS",
    "EMPTY_CLASS",
    "FORMER_NAMES",
    "NAMED",
    "NORMALIZATIONS",
    "PARAMETERS",
    "POSTHOC",
    "PUBLISHED_ON",
    "PUBLISHED_PROTOCOL",
    "SPACES",
    "STRATEGIES",
    "Augmentation",
    "Auxiliary",
    "Choice",
    "Curriculum",
    "Domain",
    "Feedback",
    "Float",
    "Logits",
    "Mixing",
    "NamedStrategy",
    "NamedWeighting",
    "Parameter",
    "ParameterValue",
    "PostHoc",
    "Published",
    "Ramp",
    "Recipe",
    "Sampling",
    "Schedule",
    "Smoothing",
    "Space",
    "Strategy",
    "UserError",
    "Variant",
    "Weighting",
    "WeightingError",
    "canonical_weights",
    "check_counts",
    "check_recipe",
    "check_weights",
    "effective_sample_fraction",
    "gradient_shares",
    "in_words",
    "legend",
    "present_name",
    "renamed",
    "schedule_shares",
    "strategy_distance",
    "total_variation",
    "weighting_key",
]
