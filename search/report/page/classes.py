"""Figures by class: the weights against the class counts, and where the winner gains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from search.config.objective import BenchmarkObjective
from search.report.page.figure import DataTable, Figure, legend
from search.report.page.scales import Scale, around, around_log, number
from search.report.page.svg import LEFT, RIGHT, WIDTH, Plot, x_range, y_range
from search.results.on_benchmark import OnBenchmark
from spaces import CLASS_WEIGHTS, Strategy, in_words
from spaces.parts.words import number_of

BAR_SHARE = 0.8
"""Of the room of a class that its bar takes."""


def class_label(names: Sequence[str] | None, index: int) -> str:
    name = names[index] if names else str(index)
    return f"class {name}" if name.isdigit() else name


def weights_figure(
    benchmark: BenchmarkObjective,
    names: Sequence[str] | None,
    strategies: Mapping[str, Strategy],
) -> Figure:
    """Return the weights of some strategies against the class counts, the first one in front."""
    counts = np.asarray(benchmark.counts)
    order = np.argsort(-counts, kind="stable")
    curves = {}
    for label, strategy in strategies.items():
        weights = strategy.weighting.weights(counts)
        curves[label] = weights / weights[order[0]]
    every = np.concatenate(list(curves.values()))
    constant = len(set(counts.tolist())) == 1
    x = Scale(0.5, 2 * counts[0], *x_range()) if constant else around_log(counts, *x_range())
    flipped = Scale(x.low, x.high, x.end, x.start, x.log)
    y = around_log([*every.tolist(), 1.0], *y_range())
    plot = Plot(flipped, y, "training images of the class", "weight, commonest class 1")
    for series, (label, weights) in reversed(list(enumerate(curves.items()))):
        plot.line([(counts[i], weights[i]) for i in order], series, dashed=series > 0)
        if series == 0:
            for i in order:
                who = class_label(names, i)
                tip = f"{who}, {number_of(counts[i], 'image')}: {label} weighs it {weights[i]:.3g}"
                plot.dot(counts[i], weights[i], series, tip, "small dot")
    first = next(iter(strategies))
    return Figure(
        name=f"weights-{benchmark.name}",
        finding=f"With {first}, {in_words(strategies[first], counts)}.",
        chart=plot.drawn(
            f"weights-{benchmark.name}",
            f"weights of {number_of(len(curves), 'weighting')} against the images of a class",
        ),
        table=DataTable.of(
            ("class", "training images", *curves),
            [
                (class_label(names, i), int(counts[i]), *(float(w[i]) for w in curves.values()))
                for i in order
            ],
        ),
        legend=legend(curves),
        note="Both axes are logarithmic; the rarest classes are on the right."
        + (
            ""
            if all(strategy.kind == CLASS_WEIGHTS for strategy in strategies.values())
            else " What strategies change besides the weights in the loss is not in this chart."
        ),
    )


def gains_figure(benchmark: OnBenchmark, names: Sequence[str] | None, winner: str) -> Figure | None:
    """Return the winner's gain over uniform for every class; None where it is not known."""
    if benchmark.gains is None:
        return None
    gains = benchmark.gains.classes
    counts = np.asarray(benchmark.benchmark.counts)
    order = np.argsort(-counts, kind="stable")
    x = Scale(-0.5, len(order) - 0.5, *x_range())
    y = around(gains, *y_range(), zero=True)
    ticks = sorted({0, len(order) // 4, len(order) // 2, 3 * len(order) // 4, len(order) - 1})
    labels = [(float(place), number(float(counts[order[place]]))) for place in ticks]
    plot = Plot(x, y, "training images of the class", "gain, points", x_labels=labels)
    width = BAR_SHARE * (WIDTH - RIGHT - LEFT) / len(order)
    for place, i in enumerate(order):
        tip = f"{class_label(names, i)}, {number_of(counts[i], 'image')}: {gains[i]:+z.1f} points"
        plot.bar(place, gains[i], width, 0 if gains[i] >= 0 else 1, tip)
    plot.along(0)
    better = sum(gain > 0 for gain in gains)
    worse = sum(gain < 0 for gain in gains)
    most = max(order, key=lambda i: gains[i])
    return Figure(
        name=f"gains-{benchmark.name}",
        finding=f"{winner} gains on {better} of {len(gains)} classes and loses on {worse}, against "
        f"uniform weights; most on {class_label(names, most)} ({gains[most]:+z.1f} points).",
        chart=plot.drawn(
            f"gains-{benchmark.name}", f"gain of {winner} over uniform weights by class"
        ),
        table=DataTable.of(
            ("class", "training images", f"{winner} less uniform, points"),
            [(class_label(names, i), int(counts[i]), float(gains[i])) for i in order],
        ),
        note=f"Means of the differences within "
        f"{number_of(benchmark.gains.seeds, 'common seed')}, at each run's "
        "best epoch; a single class is noisy. Classes stand in the order of their images.",
    )
