"""Health of a run: what its result rests on, each point passed, doubtful or failed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from search.results.conclusion import Conclusion
from search.stats.priors import GUESSED_RUNS
from search.stats.sentences import listed
from search.store.trials import PROPOSALS, TrialState, trial_key
from spaces import SPACES, Float, WeightingError, check_recipe
from spaces.parts.words import number_of

FEWEST_SEEDS = 5
"""Of the winner, for a statement about it to rest on several trainings."""
MANY_FAILED = 0.1
"""Share of trials above which failures are told as doubtful."""
EDGE = 0.02
"""Part of a parameter's range, as it is drawn, that counts as its edge."""


class Health(StrEnum):
    """How a point stands."""

    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Check:
    """One point: how it stands, and why."""

    health: Health
    question: str
    answer: str


def checks(conclusion: Conclusion) -> list[Check]:
    """Return all points that apply to a run, in the order in which they matter."""
    parts = (_confirmed, _seeds, _noise, _protocol, _images, _balance, _failures, _edges, _weights)
    return [check for part in parts for check in part(conclusion)]


def _confirmed(conclusion: Conclusion) -> Iterator[Check]:
    question = "Was the winner trained again with fresh seeds?"
    judgement = conclusion.judgement
    if judgement is None:
        answer = "No: it is the best of the search's own runs, which is partly luck."
        yield Check(Health.FAIL, question, answer)
    elif not judgement.decided:
        answer = f"In part: the confirmation has not ended ({judgement.reason})."
        yield Check(Health.WARN, question, answer)
    elif judgement.stated.ties:
        ties = ", ".join(judgement.stated.ties)
        answer = f"Yes, in {judgement.runs} runs with the controls; it cannot be told from {ties}."
        yield Check(Health.WARN, question, answer)
    else:
        answer = f"Yes, in {judgement.runs} runs with the controls, and it stands apart."
        yield Check(Health.PASS, question, answer)


def _seeds(conclusion: Conclusion) -> Iterator[Check]:
    if conclusion.judgement:
        best = conclusion.judgement.stated.best
        health = Health.PASS if best.seeds >= FEWEST_SEEDS else Health.WARN
        few = "" if health == Health.PASS else f"; {FEWEST_SEEDS} or more say more"
        yield Check(health, "How many seeds does the statement rest on?", f"{best.seeds}{few}.")


def _noise(conclusion: Conclusion) -> Iterator[Check]:
    ranking = conclusion.standings.ranking()
    if ranking is None:
        return
    question = "Is it known how much two runs of one weighting differ?"
    said = f"Standard deviation {ranking.noise_sd:.2f}"
    if ranking.noise_freedom:
        answer = f"{said}, measured on {number_of(ranking.noise_freedom, 'replicate')}."
        yield Check(Health.PASS, question, answer)
    elif conclusion.objective.noise_prior.runs > GUESSED_RUNS:
        yield Check(Health.PASS, question, f"{said}, as the benchmark states.")
    else:
        answer = f"{said} is a guess: state noise_sd in the benchmark, or let it be measured."
        yield Check(Health.WARN, question, answer)


def _protocol(conclusion: Conclusion) -> Iterator[Check]:
    notes = {b.facts.name: b.protocol for b in conclusion.manifest.benchmarks}
    short = [b.facts.name for b in conclusion.manifest.benchmarks if b.definition.shortened_from]
    answer = "; ".join(f"{name}: {note}" for name, note in notes.items())
    question = "Was the whole protocol trained?"
    if short:
        answer += ". A shortened training ranks weightings differently"
    yield Check(Health.FAIL if short else Health.PASS, question, f"{answer}.")


def _images(conclusion: Conclusion) -> Iterator[Check]:
    question = "Are the images that judge other ones than those that choose?"
    for benchmark in conclusion.objective.benchmarks:
        if benchmark.test_held_out:
            answer = f"{benchmark.name}: yes, its test images were held out."
            yield Check(Health.PASS, question, answer)
        else:
            answer = (
                f"{benchmark.name}: no, the {benchmark.chosen_on} images choose the epoch and "
                "judge, as its protocol has it; "
            )
            if benchmark.scoring.has_halves:
                answer += "what half B says of a choice on half A is the stricter number."
            else:
                answer += "correct images by half would give a stricter number."
            yield Check(Health.WARN, question, answer)


def _balance(conclusion: Conclusion) -> Iterator[Check]:
    question = "Do all classes count alike?"
    for benchmark in conclusion.objective.benchmarks:
        even = len(set(benchmark.selection_counts)) == 1
        if benchmark.half_counts is None:
            answer = f"{benchmark.name}: not known, as its function reports one accuracy of all."
            yield Check(Health.WARN, question, answer)
        elif even:
            answer = (
                f"{benchmark.name}: yes, "
                f"{number_of(benchmark.selection_counts[0], 'image')} of each."
            )
            yield Check(Health.PASS, question, answer)
        elif benchmark.metric != "accuracy":
            answer = f"{benchmark.name}: its images are unequal, and the metric allows for it."
            yield Check(Health.PASS, question, answer)
        else:
            answer = (
                f"{benchmark.name}: no, frequent classes have more test images, and accuracy "
                "rewards them; balanced_accuracy does not."
            )
            yield Check(Health.WARN, question, answer)


def _failures(conclusion: Conclusion) -> Iterator[Check]:
    rows = [row for row in conclusion.rows if row.state != TrialState.RUNNING]
    failed = [row for row in rows if row.state == TrialState.FAIL]
    diverged = sum(row.diverged for row in failed)
    controls = [row.label for row in failed if row.is_baseline]
    doubtful = controls or len(failed) > MANY_FAILED * len(rows)
    health = Health.WARN if doubtful else Health.PASS
    answer = f"{len(failed)} of {len(rows)} failed, {diverged} of them as the loss diverged."
    if controls:
        answer += f" So the search was not compared with {listed(controls)}."
    yield Check(health, "Did trials fail?", answer)


def _edges(conclusion: Conclusion) -> Iterator[Check]:
    """Numbers of the winner that lie at the edge of the space."""
    if conclusion.winner is None or conclusion.settings.space not in SPACES:
        return
    label, _ = conclusion.winner
    if not label.startswith("#"):
        return
    space = SPACES[conclusion.settings.space]
    point = conclusion.drawn.get(trial_key(PROPOSALS, int(label[1:])), {})
    at_edge = [
        f"{d.name} {value:.3g} of {d.low:g} to {d.high:g}"
        for d in space.domains
        if isinstance(d, Float)
        and space.active(d, point)
        and isinstance(value := point.get(d.name), float)
        and not (d.low < value < d.high and EDGE <= d.share(value) <= 1 - EDGE)
    ]
    question = "Does the winner lie inside of the space?"
    if at_edge:
        answer = f"At its edge: {', '.join(at_edge)}; a wider space may hold a better one."
        yield Check(Health.WARN, question, answer)
    else:
        yield Check(Health.PASS, question, "Yes.")


def _weights(conclusion: Conclusion) -> Iterator[Check]:
    if conclusion.winner is None:
        return
    _, strategy = conclusion.winner
    question = "Can its weights be trained with?"
    for benchmark in conclusion.objective.benchmarks:
        try:
            check_recipe(strategy.recipe(benchmark.counts))
        except WeightingError as error:
            yield Check(Health.FAIL, question, f"{benchmark.name}: {error}.")
        else:
            yield Check(Health.PASS, question, f"{benchmark.name}: yes.")
