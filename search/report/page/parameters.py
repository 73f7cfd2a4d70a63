"""Figures of a space's parameters: how much of the scores each explains, and in which direction."""

from __future__ import annotations

from search.report.page.figure import DataTable, Figure
from search.report.page.scales import Scale, around
from search.report.page.svg import BOTTOM, TOP, Plot, x_range, y_range
from search.results.conclusion import Conclusion
from search.results.effects import Effect, effects
from search.store.trials import PROPOSALS, TrialState
from spaces import PARAMETERS, SPACES
from spaces.parts.words import number_of

ROW = 30
NAMES = 190
EFFECT_HEIGHT = 220


def found_effects(conclusion: Conclusion) -> list[Effect]:
    """Return the effects of the parameters of a run's space on its full-length proposals."""
    space = SPACES[conclusion.settings.space]
    rows = [
        row
        for row in conclusion.rows
        if row.study == PROPOSALS
        and row.state == TrialState.COMPLETE
        and row.key in conclusion.drawn
    ]
    params = []
    for row in rows:
        drawn = conclusion.drawn[row.key]
        params.append(
            {
                d.name: drawn[d.name]
                for d in space.domains
                if d.name in drawn and space.active(d, drawn)
            }
        )
    return effects(params, [row.value or 0.0 for row in rows])


def name_of(parameter: str) -> str:
    """Return a parameter as people read it, such as "p, steepness"."""
    known = PARAMETERS.get(parameter)
    if known is None or known.symbol == known.word:
        return parameter
    return f"{known.symbol}, {known.word}"


def importance_figure(found: list[Effect]) -> Figure:
    """Return the share of the variance between trials that each parameter explains."""
    height = TOP + BOTTOM + ROW * len(found)
    x = Scale(0, max(max(e.explained, e.by_luck) for e in found) * 1.05, *x_range(NAMES))
    y = Scale(-0.5, len(found) - 0.5, TOP, height - BOTTOM)
    labels = [(float(place), name_of(effect.name)) for place, effect in enumerate(found)]
    plot = Plot(x, y, "share of the variance of full-length trials", "", height, y_labels=labels)
    for place, effect in enumerate(found):
        tip = (
            f"{name_of(effect.name)}: explains {effect.explained:.0%}; "
            f"shuffled scores stay below {effect.by_luck:.0%} in 95 % of cases"
        )
        plot.interval(
            place, 0, effect.explained, effect.explained, 0 if effect.is_known else 1, tip
        )
        plot.dot(effect.by_luck, place, 2, tip, "small dot")
    known = [name_of(effect.name) for effect in found if effect.is_known]
    told = f"more than luck would is explained by {'; '.join(known)}"
    if not known:
        told = "no parameter explains more of the scores than luck would"
    return Figure(
        name="importance",
        finding=f"{told[:1].upper()}{told[1:]}.",
        chart=plot.drawn("importance", "share of the variance that each parameter explains"),
        table=DataTable.of(
            ("parameter", "explained", "by luck, 95 %"),
            [(name_of(e.name), f"{e.explained:.1%}", f"{e.by_luck:.1%}") for e in found],
        ),
        note="Of one parameter at a time, in up to four groups of trials; the small dots are what "
        "shuffled scores stay below in 95 % of cases. Trials are drawn where the search expects "
        "good ones, not evenly.",
    )


def effect_figure(effect: Effect, unit: str) -> Figure:
    """Return the mean score at the values of a parameter."""
    levels = effect.levels
    ends = [end for level in levels for end in (level.score.low, level.score.high)]
    x = Scale(-0.5, len(levels) - 0.5, *x_range())
    y = around(ends, *y_range(EFFECT_HEIGHT))
    labels = [(float(i), f"{level.name} ({level.trials})") for i, level in enumerate(levels)]
    plot = Plot(x, y, f"{name_of(effect.name)} (trials)", unit, EFFECT_HEIGHT, x_labels=labels)
    for place, level in enumerate(levels):
        tip = (
            f"{level.name}: {level.score.mean:.2f} ({level.score.low:.2f} to "
            f"{level.score.high:.2f}) over {number_of(level.trials, 'trial')}"
        )
        plot.whisker(place, level.score.low, level.score.high, 0)
        plot.dot(place, level.score.mean, 0, tip)
    best = max(levels, key=lambda level: level.score.mean)
    verb = "is highest" if effect.is_known else "is highest, perhaps by luck,"
    meaning = PARAMETERS[effect.name].meaning if effect.name in PARAMETERS else ""
    return Figure(
        name=f"effect-{effect.name}",
        finding=f"With {name_of(effect.name)}, the mean {verb} at {best.name}: "
        f"{best.score.mean:.2f}.",
        chart=plot.drawn(f"effect-{effect.name}", f"mean score by {name_of(effect.name)}"),
        table=DataTable.of(
            ("value", "trials", "mean", "95 % low", "95 % high"),
            [(v.name, v.trials, v.score.mean, v.score.low, v.score.high) for v in levels],
        ),
        note=meaning and f"{PARAMETERS[effect.name].symbol}: {meaning}.",
    )
