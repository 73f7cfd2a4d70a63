"""The view of a run's verdict, at its end and in ``show``."""

import shlex
from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.text import Text

from search.config.objective import Objective
from search.config.program import PROGRAM
from search.report.benchmark_view import benchmark_view, other_metrics
from search.results.conclusion import Conclusion, Incumbent
from search.results.judgement import CHOSEN_FOR_HALF_B, Judgement
from search.session.phases import nothing_to_confirm
from search.store.trials import TrialState
from spaces import CLASS_WEIGHTS, NAMED, STRATEGIES, Strategy, in_words, legend
from spaces.parts.words import number_of

SAVED_HOURS = 0.01
"""By early stopping, for them to be told."""


def conclusion_view(conclusion: Conclusion, shown: Iterable[Strategy] = ()) -> RenderableType:
    """Return the verdict, or what there is before one, and what early stopping did, if it did.

    The symbols in it are explained, and those of the strategies that were ``shown`` above.
    """
    described = [strategy.describe() for strategy in (*shown, *strategies_in(conclusion))]
    explained = [Text(str(parameter), style="dim") for parameter in legend(described)]
    stopping = [Text(line) for line in (*prior_lines(conclusion), *stopping_lines(conclusion))]
    judgement = conclusion.judgement
    if judgement is None:
        found = conclusion.incumbent
        if found is None:
            return Group(Text("no full-length result yet"), *explained, *stopping)
        words = f"{found.row.label}: {effect(found.row.strategy, conclusion.objective)}"
        best = incumbent_text(found, conclusion.objective)
        notes = map(Text, unconfirmed_notes(conclusion))
        return Group(Text(best), Text(words), *notes, *explained, *stopping)
    return Group(Text(), *judgement_view(judgement, conclusion.objective), *explained, *stopping)


def strategies_in(conclusion: Conclusion) -> list[Strategy]:
    """Return the strategies of which a conclusion shows the parameters."""
    if conclusion.judgement:
        return list(conclusion.judgement.plan.candidates.values())
    found = conclusion.incumbent
    return [found.row.strategy] if found and found.row.label not in STRATEGIES else []


def prior_lines(conclusion: Conclusion) -> list[str]:
    """Return how much of what earlier runs expect this one keeps."""
    return [prior.sentence() for prior in conclusion.prior]


def stopping_lines(conclusion: Conclusion) -> list[str]:
    """Return what early stopping saved and risked; nothing where it stopped no trial."""
    lines = conclusion.stopping.sentences()
    saved, spent = conclusion.saved_hours, conclusion.device_hours
    if lines and saved >= SAVED_HOURS:
        lines.append(f"That is about {saved:.2f} of {saved + spent:.2f} {conclusion.hours_unit}.")
    return lines


def export_note(conclusion: Conclusion) -> str | None:
    """Return what a person must know of a weighting before using it; None if it is confirmed."""
    judgement, command = conclusion.judgement, confirm_command(conclusion)
    if judgement is None:
        return (
            "not confirmed: it is the best of the search by the search's own runs, which is partly "
            f"luck; {command} trains it again with fresh seeds."
        )
    if not judgement.decided:
        return f"the confirmation has not ended ({judgement.reason}); {command} goes on with it."
    return None


def unconfirmed_notes(conclusion: Conclusion) -> list[str]:
    """Return the other metrics of the best of the search, what a verdict will say, and how to one.

    A run with running trials has its confirmation to come, and a study has its own.
    """
    notes = []
    for benchmark, reached in zip(
        conclusion.objective.benchmarks, conclusion.reached, strict=False
    ):
        if benchmark.half_counts is None:
            continue
        said = other_metrics(reached.metrics, benchmark.metric)
        notes.append(f"on the {benchmark.chosen_on} images of {benchmark.name}: {said}")
    notes += [
        f"{benchmark.name}: its test images are held out for the verdict (confirm RUN)"
        for benchmark in conclusion.objective.benchmarks
        if benchmark.test_held_out
    ]
    rows, study = conclusion.rows, conclusion.told
    running = any(row.state == TrialState.RUNNING for row in rows)
    if not (running or study or nothing_to_confirm(conclusion.standings, rows)):
        command = confirm_command(conclusion)
        notes.append(f"{command} trains it and the controls with fresh seeds")
    return notes


def confirm_command(conclusion: Conclusion) -> str:
    """Return the command that confirms a run, or what does with a study."""
    if conclusion.told:
        return "confirmation() of search.Study(..., folder=...)"
    own = conclusion.manifest.benchmarks[0].own
    words = [*PROGRAM.split(), "confirm", str(conclusion.folder.path)]
    return f"'{shlex.join(words + (['--trainable', own.trainable] if own else []))}'"


def incumbent_text(found: Incumbent, objective: Objective) -> str:
    """Return the best of the search, and how little that says."""
    known = found.known
    who = (
        f"best of the search: {found.row.label}, {what_it_is(found.row.label, found.row.strategy)}"
    )
    if found.alike:
        who = f"nothing was found: all {found.alike} weightings reached the same; {who}"
    runs = "its single run" if known.n == 1 else f"the mean of its {known.n} runs"
    if objective.joint:
        gain = "" if found.gain is None else f", about {found.gain:+z.2f} noise SDs over uniform"
        return f"{who}{gain} (posterior SD of its score {known.sd:.2f}), not confirmed"
    return (
        f"{who}, about {known.mean:.2f} % {objective.benchmarks[0].score_words} "
        f"(posterior SD {known.sd:.2f}; {runs} {known.raw_mean:.2f}), not confirmed"
    )


def what_it_is(label: str, strategy: Strategy) -> str:
    """Return the formula and the source of a named strategy, the parameters of another."""
    return definition(label) if label in STRATEGIES else strategy.describe()


def definition(name: str) -> str:
    """Return the formula and the source of a named strategy; of class weights, that of those."""
    return (NAMED[name] if name in NAMED else STRATEGIES[name]).definition


def effect(strategy: Strategy, objective: Objective) -> str:
    """Say in plain words what a strategy does on the counts of each benchmark."""
    said = {b.name: in_words(strategy, b.counts) for b in objective.benchmarks}
    if len(set(said.values())) == 1:
        return next(iter(said.values()))
    return "; ".join(f"on {name}, {words}" for name, words in said.items())


def judgement_view(judgement: Judgement, objective: Objective) -> list[RenderableType]:
    """Return what to use first, then on what grounds, and what the weightings are."""
    verdict, decided = judgement.verdict, judgement.decided
    use, more = judgement.use, judgement.more
    state = "Verdict" if decided else "Verdict so far"
    arms = {verdict.winner: judgement.plan.arms[verdict.winner]} | judgement.plan.candidates
    parts: list[RenderableType] = [
        Text(use if decided else f"So far: {use}", style="bold"),
        *(Text(f"  {arm_text(label, strategy, objective)}") for label, strategy in arms.items()),
        *(Text(f"  {sentence}") for sentence in half_b_sentences(judgement)),
        Text(
            f"{state} after {number_of(judgement.runs, 'run')} with fresh seeds "
            f"({judgement.reason}):"
        ),
        *(Text(f"  {sentence}") for sentence in more),
        *(Text(f"  {sentence}") for sentence in filter(None, [judgement.grounds])),
    ]
    for benchmark in judgement.benchmarks:
        parts += benchmark_view(benchmark, benchmark.verdict or verdict)
    if judgement.holdout:
        parts.append(Text("Held out, and never searched on:"))
        held = judgement.holdout.verdict
        parts += benchmark_view(judgement.holdout, held) if held else []
        if held is None:
            parts.append(Text("  not every arm that the verdict needs has a result there"))
    return parts


def arm_text(label: str, strategy: Strategy, objective: Objective) -> str:
    """Return what an arm is, with its kind where that is more than class weights."""
    kind = "" if strategy.kind == CLASS_WEIGHTS else f" ({strategy.kind})"
    return f"{label}{kind}: {what_it_is(label, strategy)}; {effect(strategy, objective)}"


def half_b_sentences(judgement: Judgement) -> list[str]:
    """Return what half B says, and why it comes first; nothing where class weights are all."""
    others = judgement.plan.other_training
    if not others:
        return []
    differ = "differs" if len(others) == 1 else "differ"
    said = [
        f"{', '.join(others)} {differ} from plain training in more than class weights: not "
        "comparable with the class-weight leaderboard."
    ]
    if judgement.half_b is None:
        return said
    why = (
        "Half B comes first, because more freedom makes more of the luck of the images by which "
        f"epochs and strategies are chosen; {CHOSEN_FOR_HALF_B}"
    )
    return [*said, why, *judgement.half_b.sentences()]
