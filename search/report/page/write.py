"""Writing of a run's report: one HTML file that loads nothing and runs no foreign script."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from search.config.objective import BenchmarkObjective
from search.config.program import PROGRAM
from search.config.settings import UNIFORM
from search.report.benchmark_view import SAME_IMAGES
from search.report.page.arms import (
    adjusted_figure,
    arms_figure,
    differences_figure,
    holdout_figure,
    shots_figure,
)
from search.report.page.classes import gains_figure, weights_figure
from search.report.page.diagnosis import confusion_figure, losses_figure, reliability_figure
from search.report.page.facts import facts_of, stopping_table
from search.report.page.figure import Figure, shown
from search.report.page.history import curves_figure, history_figure
from search.report.page.parameters import effect_figure, found_effects, importance_figure
from search.report.page.scenarios import scenarios_figure
from search.report.verdict_view import effect, half_b_sentences, incumbent_text, what_it_is
from search.results.conclusion import Conclusion
from search.results.diagnoses import arm_diagnosis
from search.results.health import checks
from search.results.on_benchmark import OnBenchmark
from search.results.scenarios import by_scenario
from search.store.run_folder import part_key
from search.store.trials import BASELINES, CONFIRMATION
from spaces import STRATEGIES, Strategy, legend
from spaces.errors import UserError
from trainer.files import write_atomic

MOST_CURVES = 4
"""Arms of a chart of learning curves or weights, the winner and the controls first."""
MOST_CLASSES = 1000
"""Of a chart of confusion, whose cells are their square."""
SHOWN_EFFECTS = 6


@dataclass(frozen=True)
class Section:
    """A part of the page under one heading."""

    name: str
    heading: str
    figures: tuple[Figure, ...]


def report_html(conclusion: Conclusion, live: str = "") -> str:
    """Return the page of a run; ``live`` is a script by which it follows the run."""
    return rendered("page.html.j2", live=live, policy=page_policy(live), **_contents(conclusion))


def rendered(template: str, **contents: Any) -> str:
    """Return a page of a template, with the style and the script that all pages have."""
    environment = Environment(
        loader=PackageLoader("search.report.page", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["shown"] = shown
    style, script = page_text("page.css"), page_text("page.js")
    return environment.get_template(template).render(style=style, script=script, **contents)


def page_text(name: str) -> str:
    """Return a file of the page's own."""
    return (files("search.report.page") / name).read_text("utf-8")


def page_policy(live: str = "") -> str:
    """Return the content security policy: the page's own style and scripts, and nothing else."""
    scripts = " ".join(f"'{_hash(script)}'" for script in (page_text("page.js"), live) if script)
    asked = "; connect-src 'self'" if live else ""
    style = _hash(page_text("page.css"))
    return f"default-src 'none'; style-src '{style}'; script-src {scripts}{asked}"


def write_report(conclusion: Conclusion, path: Path) -> None:
    """Write the page of a run, whole or not at all.

    Raises:
        UserError: the file cannot be written.
    """
    content = report_html(conclusion).encode()
    try:
        write_atomic(path, content)
    except OSError as error:
        raise UserError(
            f"the report cannot be written to {path} ({error.strerror}); write it elsewhere "
            f"with {PROGRAM} report RUN --output FILE."
        ) from error


def _hash(text: str) -> str:
    """A source of the page's content security policy: this very text, and no other."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def _contents(conclusion: Conclusion) -> dict[str, Any]:
    benchmarks = conclusion.manifest.benchmarks
    described = [strategy.describe() for strategy in _strategies(conclusion).values()]
    return {
        "title": conclusion.folder.path.name,
        "benchmarks": [f"{b.facts.name}: {b.protocol}" for b in benchmarks],
        "shortened": any(b.definition.shortened_from for b in benchmarks),
        "headline": headline(conclusion),
        "sentences": sentences(conclusion),
        "weightings": [
            (label, what_it_is(label, strategy), effect(strategy, conclusion.objective))
            for label, strategy in _strategies(conclusion).items()
        ],
        "symbols": [str(parameter) for parameter in legend(described)],
        "checks": checks(conclusion),
        "sections": [section for section in _sections(conclusion) if section.figures],
        "stopping": stopping_table(conclusion),
        "facts": facts_of(conclusion),
    }


def headline(conclusion: Conclusion) -> str:
    """Return what a run found, in one sentence."""
    judgement = conclusion.judgement
    if judgement:
        return judgement.use if judgement.decided else f"So far: {judgement.use}"
    found = conclusion.incumbent
    if found is None:
        return "There is no full-length result yet."
    if found.alike:
        return f"Nothing was found so far: all {found.alike} weightings reached the same."
    return f"Not confirmed: {found.row.label} is the best of the search so far."


def sentences(conclusion: Conclusion) -> list[str]:
    """Return what stands behind that."""
    judgement = conclusion.judgement
    if judgement:
        said = [*half_b_sentences(judgement), *judgement.more]
        for benchmark in judgement.benchmarks:
            said += benchmark.verdict.sentences(benchmark.name) if benchmark.verdict else []
            if benchmark.benchmark.test_held_out:
                continue
            if split := benchmark.half_split:
                said.append(
                    f"{benchmark.name}: chosen on half A of the {benchmark.benchmark.chosen_on} "
                    f"images, weighting and epochs alike, {split.arm} reaches "
                    f"{split.accuracies.half_b:.2f} % on half B."
                )
            else:
                said.append(f"{benchmark.name}: {SAME_IMAGES}")
        return said + _held_out(judgement.holdout)
    found = conclusion.incumbent
    if found is None:
        return []
    text = incumbent_text(found, conclusion.objective)
    return [f"{text[:1].upper()}{text[1:]}."]


def _held_out(holdout: OnBenchmark | None) -> list[str]:
    """Return what the arms reach on the hold-out, if there is one with results."""
    if holdout is None or holdout.verdict is None:
        return []
    first, *more = holdout.verdict.sentences(holdout.name)
    return [f"Held out, on{first.removeprefix('On')}", *more]


def _strategies(conclusion: Conclusion) -> dict[str, Strategy]:
    """The winner first, then the controls, then other candidates."""
    judgement = conclusion.judgement
    if judgement is None:
        winner = conclusion.winner
        found = {winner[0]: winner[1]} if winner else {}
        return found | {
            name: STRATEGIES[name].strategy for name in conclusion.controls if name in STRATEGIES
        }
    plan, winner_name = judgement.plan, judgement.verdict.winner
    return {winner_name: plan.arms[winner_name]} | plan.controls | plan.candidates


def _sections(conclusion: Conclusion) -> Iterator[Section]:
    yield Section("arms", "What each weighting reaches", tuple(_verdict_figures(conclusion)))
    yield Section("classes", "Classes", tuple(_class_figures(conclusion)))
    yield Section("diagnoses", "Diagnoses", tuple(_diagnosis_figures(conclusion)))
    yield Section("search", "The search", tuple(_search_figures(conclusion)))
    yield Section("training", "Training", tuple(_curve_figures(conclusion)))


def _verdict_figures(conclusion: Conclusion) -> Iterator[Figure]:
    if conclusion.judgement:
        yield arms_figure(conclusion.judgement)
        if found := differences_figure(conclusion.judgement):
            yield found
        holdout = conclusion.judgement.holdout
        if holdout and (there := holdout_figure(holdout)):
            yield there
        if holdout and holdout.scenarios:
            where = f"Held out, on {holdout.name}: "
            yield scenarios_figure(holdout.name, holdout.scenarios, where)
        for judged in (*_judged(conclusion), *([holdout] if holdout else [])):
            if adjusted := adjusted_figure(judged):
                yield adjusted


def _judged(conclusion: Conclusion) -> tuple[OnBenchmark, ...]:
    return conclusion.judgement.benchmarks if conclusion.judgement else ()


def _class_figures(conclusion: Conclusion) -> Iterator[Figure]:
    few = dict(list(_strategies(conclusion).items())[:MOST_CURVES])
    names = {b.facts.name: b.class_names for b in conclusion.manifest.benchmarks}
    if few:
        for benchmark in conclusion.objective.benchmarks:
            yield _on(benchmark, weights_figure(benchmark, names[benchmark.name], few), conclusion)
    for judged in _judged(conclusion):
        winner = next(iter(few))
        figures = (gains_figure(judged, names[judged.name], winner), shots_figure(judged, winner))
        yield from (_on(judged, figure, conclusion) for figure in figures if figure)
        if judged.scenarios:
            yield _on(judged, scenarios_figure(judged.name, judged.scenarios), conclusion)
    if not conclusion.judgement:
        yield from _scenarios_of_search(conclusion)


def _scenarios_of_search(conclusion: Conclusion) -> Iterator[Figure]:
    """Those of the best of the search beside uniform weights, a run each."""
    best = [conclusion.incumbent.row] if conclusion.incumbent else []
    searched = [row for row in conclusion.rows if row.in_search]
    rows = {r.label: r for r in (*best, *searched) if r in best or r.label == UNIFORM}
    for part, benchmark in enumerate(conclusion.objective.benchmarks):
        if best and benchmark.scenarios:
            keys = {label: part_key(row.key, part) for label, row in rows.items()}
            runs = {a: {0: conclusion.folder.read_part(k, benchmark)} for a, k in keys.items()}
            choosing = (0,) if benchmark.test_held_out else (0, 1)
            if found := by_scenario(runs, benchmark.scenarios, choosing):
                yield _on(benchmark, scenarios_figure(benchmark.name, found), conclusion)


def _diagnosis_figures(conclusion: Conclusion) -> Iterator[Figure]:
    """Those of the winner beside uniform weights, by its confirmation; before it, of controls."""
    names = {b.facts.name: b.class_names for b in conclusion.manifest.benchmarks}
    study = CONFIRMATION if conclusion.judgement else BASELINES
    shown = list(dict.fromkeys([next(iter(_strategies(conclusion)), UNIFORM), UNIFORM]))
    rows = {a: [r for r in conclusion.rows if (r.study, r.label) == (study, a)] for a in shown}
    for part, benchmark in enumerate(conclusion.objective.benchmarks):
        found = {a: arm_diagnosis(conclusion.folder, rows[a], part, benchmark) for a in shown}
        arms = {label: diagnosis for label, diagnosis in found.items() if diagnosis}
        if arms:
            figures = [losses_figure(benchmark, names[benchmark.name], arms)]
            if len(benchmark.counts) <= MOST_CLASSES:
                figures.append(confusion_figure(benchmark, names[benchmark.name], arms))
            figures.append(reliability_figure(benchmark, arms))
            yield from (_on(benchmark, figure, conclusion) for figure in figures)


def _search_figures(conclusion: Conclusion) -> Iterator[Figure]:
    if history := history_figure(conclusion):
        yield history
    if found := found_effects(conclusion):
        yield importance_figure(found)
        unit = "noise SDs" if conclusion.objective.joint else "percent"
        yield from (effect_figure(one, unit) for one in found[:SHOWN_EFFECTS])


def _curve_figures(conclusion: Conclusion) -> Iterator[Figure]:
    if conclusion.told:  # of which the end alone is known
        return
    arms = list(_strategies(conclusion))[:MOST_CURVES]
    for part, judged in enumerate(_judged(conclusion)):
        if figure := curves_figure(conclusion, judged, part, arms):
            yield _on(judged, figure, conclusion)


def _on(where: BenchmarkObjective | OnBenchmark, figure: Figure, conclusion: Conclusion) -> Figure:
    """The figure, whose finding says on which benchmark, if several are searched."""
    said = f"On {where.name}: {figure.finding}"
    return replace(figure, finding=said) if conclusion.objective.joint else figure
