"""What the tests of the export share: a point with every step, its story, and a module as run."""

from __future__ import annotations

from search.export.module_template import render_module
from search.export.winner import Winner
from spaces import Curriculum, Logits, Ramp, Sampling, Schedule, Smoothing, Strategy, Weighting

COUNTS = [int(500 * (1 / 100) ** (i / 99)) for i in range(100)]
NAMES = [f"class {i}" for i in range(100)]
BENCHMARK = {"name": "resnet32-cifar100lt", "note": 'a """ quote, a \\ and $exponent, ü'}
RESULT = {"best_score": 40.5, "seeds": [42, 123], "nested": {"sd": 0.7}}
RICH = Weighting(
    exponent=0.62,
    link=0.3,
    nu=0.5,
    split_quantile=0.4,
    head_ratio=0.2,
    shape=0.3,
    bump=0.3,
    clip_low=0.05,
    clip_high=0.9,
)
EVERYTHING = Strategy(
    weights=Schedule(Weighting(exponent=1), Ramp(end=1)),
    sampling=Sampling(Weighting(exponent=1), Ramp(0.75, 0.75), draw="cycled"),
    logits=Logits(0.8, 0.2, 0.4, 0.3, 3.0),
    smoothing=Smoothing(0.3, 0.05),
    curriculum=Curriculum("hard", "contrast", first=0.3, begin=0.2, full_at=0.7, power=2.0),
    focusing=1.5,
    tau_norm=0.5,
)
BEST = Winner(Strategy.of(RICH), tuple(COUNTS), tuple(NAMES), BENCHMARK, RESULT)


def load(found, class_names=None):
    """The exported module of a strategy or a weighting as a namespace, in this process."""
    namespace = {"__name__": "best"}
    strategy = Strategy.of(found) if isinstance(found, Weighting) else found
    text = render_module(strategy, class_names, BENCHMARK, RESULT, "key")
    exec(compile(text, "best", "exec"), namespace)
    return namespace
