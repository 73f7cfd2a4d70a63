"""Published results of the leaderboard's benchmarks, to stand beside those of a search."""

Published = dict[str, tuple[float, float | None]]
"""Weighting -> (accuracy with seed 42, mean over PUBLISHED_SEEDS), percent."""

PUBLISHED: dict[str, Published] = {
    "resnet32-cifar10lt": {
        "mlsbench_balanced_softmax": (73.59, 73.15),
        "mlsbench_effective_number": (73.13, 72.70),
        "mlsbench_inverse_freq": (71.79, 72.45),
        "best of ten designs made by language models": (74.74, None),
    },
    "resnet32-cifar100lt": {
        "mlsbench_balanced_softmax": (39.42, 39.55),
        "mlsbench_effective_number": (40.16, 39.68),
        "mlsbench_inverse_freq": (35.55, 37.76),
        "best of ten designs made by language models": (40.48, None),
    },
    "vgg16bn-cifar100lt": {
        "mlsbench_balanced_softmax": (45.36, 45.10),
        "mlsbench_effective_number": (44.82, 44.58),
        "mlsbench_inverse_freq": (43.91, 44.32),
        "best of ten designs made by language models": (47.26, None),
    },
}
"""The class-weighting leaderboard of MLS-Bench, full protocol, best test accuracy in percent."""

PUBLISHED_SEEDS = (42, 123, 456)
"""Of the leaderboard's rows and means (protocol): a confirmation's first fresh seeds, too."""
