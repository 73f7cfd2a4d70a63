"""Noise of the protocol between trainings of one weighting, with its heavy lower tail."""

import numpy as np

from spaces.counts import FloatArray

BAD_RUN, BAD_BY = 0.1, 2.5
"""One run in ten is worse by 2.5 standard deviations: skewness -1.1, excess kurtosis 1.6."""


def heavy_tailed(shape: tuple[int, ...], random: np.random.Generator) -> FloatArray:
    """Draw noise of mean 0 and standard deviation 1."""
    within = np.sqrt(1 - BAD_RUN * (1 - BAD_RUN) * BAD_BY**2)
    bad = random.random(shape) < BAD_RUN
    return np.asarray(within * random.standard_normal(shape) + BAD_BY * (BAD_RUN - bad))
