"""Figures of diagnoses: how sure an arm is, what it confuses, and how the classes learn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup

from search.config.objective import BenchmarkObjective
from search.report.page.classes import class_label
from search.report.page.figure import Cell, DataTable, Figure, legend
from search.report.page.scales import OUTLIER_SHARE, Scale, around, beyond, epoch_ticks, number
from search.report.page.svg import Plot, tag, x_range, y_range
from search.results.diagnoses import ArmDiagnosis
from spaces.parts.words import number_of
from trainer.diagnosis.examination import calibration_error, together
from trainer.diagnosis.records import BINS, CONFIDENCE_UNIT
from trainer.diagnosis.words import FailureMode, failure_modes, matrix
from trainer.results import shot_groups

SHOWN_CLASSES = 6
"""Classes of a chart of losses, evenly through the order of their training images."""
MOST_CELLS = 1200
"""Of a confusion chart, the darkest ones."""
OF_CLASS = ("recall, %", "precision, %", "taken for", "share, %")
"""Columns on a class, of each arm: the last two are its most frequent error."""
MATRIX_SIDE = 420
MATRIX_LEFT = 150

Names = Sequence[str] | None
Arms = Mapping[str, ArmDiagnosis]


def percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def reliability_figure(benchmark: BenchmarkObjective, arms: Arms) -> Figure:
    """Return the accuracy of predictions against their confidence, the first arm by shot group."""
    first, told = next(iter(arms)), next(iter(arms.values()))
    groups = shot_groups(benchmark.counts)
    plot = Plot(
        Scale(0, 1, *x_range()), Scale(0, 1, *y_range()), "confidence, mean of the bin", "accuracy"
    )
    plot.line([(0, 0), (1, 1)], len(groups), dashed=True)
    rows = []
    for series, (name, bins) in enumerate(zip(groups, told.reliability, strict=True)):
        points = []
        for place, (images, hits, units) in enumerate(bins):
            if images:
                sure, right = units * CONFIDENCE_UNIT / images, hits / images
                points.append((sure, right))
                tip = f"{name}-shot: {images} predictions, {percent(sure)} sure, "
                tip += f"{percent(right)} correct"
                plot.dot(sure, right, series, tip)
                rows.append((name, f"{place / BINS:.3f}", images, 100 * sure, 100 * right))
        plot.line(points, series)
    errors = {arm: calibration_error(together(of.reliability)) for arm, of in arms.items()}
    said = ", ".join(f"{arm} {100 * (error or 0.0):.1f} %" for arm, error in errors.items())
    name = f"reliability-{benchmark.name}"
    return Figure(
        name=name,
        finding=f"The expected calibration error is: {said}.",
        chart=plot.drawn(name, f"accuracy of {first} against its confidence, by shot group"),
        table=DataTable.of(
            ("shot group", "bin from", "predictions", "confidence, %", "accuracy, %"), rows
        ),
        legend=legend((*(f"{group}-shot classes" for group in groups), "confidence = accuracy")),
        note=f"{first} at its best epoch, on the {benchmark.chosen_on} images, runs: {told.runs}. "
        "Below the diagonal it is surer than right.",
    )


def confusion_figure(benchmark: BenchmarkObjective, names: Names, arms: Arms) -> Figure:
    """Return which classes each arm takes images for, in the order of the first arm's errors."""
    first, told = next(iter(arms)), next(iter(arms.values()))
    classes, order = len(benchmark.counts), np.argsort(-np.asarray(benchmark.counts), kind="stable")
    cells = {arm: matrix(of.confusion, classes) for arm, of in arms.items()}
    shares = {arm: found / found.sum(1, keepdims=True) for arm, found in cells.items()}
    modes = {arm: failure_modes(of.confusion) for arm, of in arms.items()}
    finding = f"{first} confuses nothing."
    if modes[first]:
        worst = modes[first][0]
        before = "".join(
            f"; with {arm} {percent(shares[arm][worst.true, worst.taken_for])}"
            for arm in arms
            if arm != first
        )
        finding = (
            f"Most often {first} takes {class_label(names, worst.true)} for "
            f"{class_label(names, worst.taken_for)}: {percent(worst.share)} of its images{before}."
        )
    name = f"confusion-{benchmark.name}"
    cut = np.count_nonzero(cells[first]) > MOST_CELLS
    return Figure(
        name=name,
        finding=finding,
        chart=_heat_map(name, shares[first][np.ix_(order, order)], order, names),
        table=_errors(benchmark.counts, names, cells, modes),
        note=f"Sums over the best epochs, on the {benchmark.chosen_on} images, runs: {told.runs}. "
        "Classes stand in the order of their training images, the commonest at the top left. The "
        "darker, the more of a class's images."
        + (f" Shares below the {MOST_CELLS:,} largest are not drawn." if cut else ""),
    )


def _errors(
    counts: Sequence[int],
    names: Names,
    cells: Mapping[str, np.ndarray],
    modes: Mapping[str, Sequence[FailureMode]],
) -> DataTable:
    """What arms make of each class, by images (C, C), in the order of the first arm's errors."""
    first, *others = cells
    found = {arm: {mode.true: mode for mode in of} for arm, of in modes.items()}
    headers = ["class", "training images", *OF_CLASS]
    for arm in others:
        headers += [f"that share with {arm}, %", *(f"{arm}: {header}" for header in OF_CLASS)]
    # Behind them, the classes all of whose images are right, though others may be taken for them.
    right = [c for c in range(len(counts)) if c not in found[first]]
    rows: list[tuple[Cell, ...]] = []
    for true in (*found[first], *right):
        error = found[first].get(true)
        row = [class_label(names, true), counts[true], *_of_class(cells[first], true, error, names)]
        for arm in others:
            mine = cells[arm][true]
            row.append(100 * float(mine[error.taken_for] / mine.sum()) if error else None)
            row += _of_class(cells[arm], true, found[arm].get(true), names)
        rows.append(tuple(row))
    return DataTable.of(tuple(headers), rows)


def _of_class(
    cells: np.ndarray, true: int, mode: FailureMode | None, names: Names
) -> tuple[Cell, ...]:
    """What ``OF_CLASS`` names, of a class and its failure mode, by images (C, C)."""
    correct, images, predicted = (
        float(n) for n in (cells[true, true], cells[true].sum(), cells[:, true].sum())
    )
    return (
        100 * correct / images,
        100 * correct / predicted if predicted else None,
        class_label(names, mode.taken_for) if mode else None,
        100 * mode.share if mode else None,
    )


def _heat_map(name: str, shares: np.ndarray, order: np.ndarray, names: Names) -> Markup:
    """A square for each true class (row) and predicted class (column), (C, C), in this order."""
    classes = len(shares)
    ends = MATRIX_LEFT, MATRIX_LEFT + MATRIX_SIDE
    x, y = Scale(0, classes, *ends), Scale(0, classes, 12, 12 + MATRIX_SIDE)
    ticks = sorted({0, classes // 4, classes // 2, 3 * classes // 4, classes - 1})
    named = [(place + 0.5, class_label(names, int(order[place]))) for place in ticks]
    across, down = ([(at, text[:most]) for at, text in named] for most in (10, 18))
    plot = Plot(x, y, "predicted class", "", MATRIX_SIDE + 60, across, down)
    darkest = np.sort(shares, axis=None)[::-1][: MOST_CELLS + 1]
    least = darkest[-1] if len(darkest) > MOST_CELLS else 0.0
    side = MATRIX_SIDE / classes
    for row, column in np.argwhere(shares > least):
        share = float(shares[row, column])
        true, other = (class_label(names, int(order[place])) for place in (row, column))
        plot.marks.append(
            tag(
                "rect",
                x=x(column),
                y=y(row),
                width=side,
                height=side,
                fill_opacity=max(share, 0.04),
                class_=f"bar c{0 if row == column else 1}",
                data_tip=f"{percent(share)} of {true} as {other}",
            )
        )
    return plot.drawn(name, f"share of the images of {classes} classes predicted as each class")


def losses_figure(benchmark: BenchmarkObjective, names: Names, arms: Arms) -> Figure:
    """Return the loss of some classes by epoch with the first arm, and all classes' at the end."""
    first, told = next(iter(arms)), next(iter(arms.values()))
    counts = np.asarray(benchmark.counts)
    order = np.argsort(-counts, kind="stable")
    places = np.unique(np.linspace(0, len(order) - 1, min(SHOWN_CLASSES, len(order))).astype(int))
    shown, epochs = order[places], len(told.test_losses)
    at = np.unique(np.linspace(0, epochs - 1, min(epochs, 100)).astype(int))
    kinds = [(told.test_losses, False)]
    kinds += [(told.train_losses, True)] if told.train_losses is not None else []
    every = np.concatenate([losses[np.ix_(at, shown)].ravel() for losses, _ in kinds])
    highest = float(np.nanquantile(every, 1 - OUTLIER_SHARE))
    y = around([0.0, highest], *y_range())
    x = Scale(1, max(epochs, 2), *x_range())
    plot = Plot(x, y, "epoch", "mean loss of the class", x_labels=epoch_ticks(epochs))
    for losses, dashed in kinds:
        for series, label in enumerate(shown):
            points = [(float(e) + 1, float(losses[e, label])) for e in at]
            plot.line([p for p in points if np.isfinite(p[1])], series, dashed)
    common, rare = (float(told.test_losses[-1, label]) for label in (order[0], order[-1]))
    name, images = f"class-losses-{benchmark.name}", benchmark.chosen_on
    optional = (("training loss", told.train_losses), ("gap", told.gaps), ("fall", told.progress))
    there = [(title, values) for title, values in optional if values is not None]
    last = [values[-1] if values.ndim == 2 else values for _, values in there]
    return Figure(
        name=name,
        finding=f"With {first} the loss of the rarest class ends at {number(round(rare, 2))}, that "
        f"of the commonest at {number(round(common, 2))}.",
        chart=plot.drawn(name, f"loss by epoch of {len(shown)} classes with {first}"),
        table=DataTable.of(
            ("class", "training images", f"{images} loss", *(title for title, _ in there)),
            [
                (
                    class_label(names, label),
                    int(counts[label]),
                    float(told.test_losses[-1, label]),
                    *(None if np.isnan(values[label]) else float(values[label]) for values in last),
                )
                for label in order
            ],
        ),
        legend=legend(f"{class_label(names, i)}, {number_of(counts[i], 'image')}" for i in shown),
        note=f"Mean cross entropy without weights, runs: {told.runs}. "
        + (
            f"Solid lines are of {images} images, dashed ones of training images. Gap: {images} "
            "less training loss at the end; fall: of the training loss in an epoch, of late."
            if there
            else f"Of {images} images; those of training images were not kept."
        )
        + beyond(every, y),
    )
