"""The announcement of a search: what is searched, what is not, and how long it takes."""

from dataclasses import replace

from search.config.budget import Budget
from search.config.controls import sentences_on
from search.config.objective import BenchmarkObjective
from search.config.program import PROGRAM
from search.config.settings import Settings
from search.report.durations import rough_duration
from search.report.verdict_view import definition, effect, what_it_is
from search.results.forecast import Forecast, holdout_left, trials_left
from search.samplers.registry import SAMPLERS
from search.session.plan import Plan
from search.session.search import Search
from search.stats.best_arm import SEEDS_EACH, confirmation_seed
from search.stats.sentences import listed
from search.store.plan import ConfirmationPlan
from spaces import PARAMETERS, SPACES, STRATEGIES, Float, legend
from spaces.parts.words import number_of
from trainer.benchmarks import Benchmark
from trainer.benchmarks.metrics import metric_sentence
from trainer.trial import SCALE_FREE_LOSS

LONG_HOURS = 12.0
"""A longer search is told how to see results sooner."""
FEASIBLE_HOURS = 8.0
"""What is offered then takes so long."""
SMALL = "resnet8-digitslt40"
TIMED_ALONE = (
    "An epoch was timed alone just now: trials that share the CPUs, with each other or with other "
    "work, take longer."
)
DONE = "nothing is left to do: the budget is used up; more --trials search on"
CONFIRMED = (
    "nothing is left to do: the confirmation is decided, or its runs are used up (confirm RUN goes "
    "on with more --confirm-runs); --resume with more --trials searches on"
)


def announcement(plan: Plan, search: Search) -> list[str]:
    """Return what is about to be searched, and what is deliberately not.

    Where the search is over, it says what is confirmed, and nothing of the search.
    """
    settings, budget = plan.settings, plan.budget
    finished = search.finished()  # chooses what is confirmed, if that is not settled
    rungs = ", ".join(map(str, search.rungs.epochs))
    rule = settings.early_stopping
    stopping = f"early stopping {rule} at epochs {rungs}" if rungs else "no early stopping"
    lines = [f"{b.name}: {b.protocol_note()}" for b in plan.benchmarks]
    if not plan.own:
        lines = [f"{line}, {settings.precision}" for line in lines]
    if plan.holdout:
        lines.append(f"hold-out {plan.holdout.name}: {plan.holdout.protocol_note()}")
    folder = f"run folder {plan.folder.path}"
    if search.later.plan and search.search_is_over():
        left = [CONFIRMED] if finished else search.resumed
        return [*lines, *confirmation_text(search, search.later.plan), *left, folder]
    lines += [
        f"space {settings.space}, sampler {settings.sampler}, {stopping}; {budget.describe()}",
        phases_text(budget),
        *(line for benchmark in search.objective.all_benchmarks for line in scores_text(benchmark)),
        *prior_text(search),
        *named_text(settings, search),
        symbols_text(settings.space),
        *notes(plan, search),
        folder,
    ]
    return lines


def confirmation_text(search: Search, plan: ConfirmationPlan) -> list[str]:
    """Return which weightings are confirmed, with how many runs, and with which seeds."""
    first = [confirmation_seed(search.settings.seed, number) for number in range(SEEDS_EACH)]
    more = plan.runs > SEEDS_EACH * len(plan.arms)
    then = "all have more" if plan.interval else "more where it is open which one is the best"
    begun = min(plan.runs, search.later.confirmation_begun(search.rows()))
    limits = replace(search.budget, trials=None).describe()
    lines = [
        f"confirmation: at most {number_of(plan.runs, 'run')}"
        f"{f', of which {begun} began before' if begun else ''}"
        f"{f', within {limits}' if limits else ''}; each weighting has the fresh seeds "
        f"{listed(list(map(str, first)))}{f', then {then}' if more else ''}"
    ]
    for kind, arms in (("candidate", plan.candidates), ("control", plan.controls)):
        lines += [
            f"{kind} {label}: {what_it_is(label, strategy)}; {effect(strategy, search.objective)}"
            for label, strategy in arms.items()
        ]
    known = legend(strategy.describe() for strategy in plan.candidates.values())
    return [*lines, *([", ".join(f"{p.symbol}: {p.word}" for p in known)] if known else [])]


def forecast_text(forecast: Forecast, plan: Plan, search: Search) -> list[str]:
    """Return what the search costs, and how to see results sooner if that is much."""
    left, trials = forecast.seconds(plan, search), trials_left(search)
    if left is None or trials is None:
        return unlimited_text(forecast, plan)
    gpu_hours = forecast.gpu_hours(left)
    cost = "" if gpu_hours is None else f", {gpu_hours:.2g} GPU-hours"
    epochs = epochs_text(forecast, plan)
    per_trial = f"({epochs})" if len(plan.benchmarks) > 1 else epochs
    grounds = [f"{number_of(trials, 'trial', '.4g')} x {per_trial}"] if trials else []
    if plan.holdout and (held := holdout_left(search)):
        runs = f"{number_of(held, 'run')} on the hold-out"
        measured = forecast.holdout_seconds(plan, search) > 0
        epochs = number_of(plan.holdout.epochs, "epoch")
        epochs = f" x {epochs} x {seconds_text(forecast.epoch_seconds[-1])}"
        grounds.append(f"{runs}{epochs}" if measured else f"without {runs}")
    all_run = "all runs are needed" if search.search_is_over() else "no trial is stopped early"
    timed = f"). {TIMED_ALONE}" if forecast.alone else ", just measured)."
    lines = [
        f"On this hardware: {rough_duration(left)}{cost} if {all_run} "
        f"({', '.join(grounds)}, {forecast.concurrency} at a time{timed}"
    ]
    if left > 3600 * LONG_HOURS:
        lines.append(advice(forecast, plan, FEASIBLE_HOURS))
    return lines


def unlimited_text(forecast: Forecast, plan: Plan) -> list[str]:
    """Return how long a trial takes, and how many the hours of the budget are enough for."""
    trial = forecast.trial_seconds(plan)
    grounds = (
        f"{epochs_text(forecast, plan)}, {rough_duration(trial)} a trial, "
        f"{forecast.concurrency} at a time"
    )
    enough, limits = forecast.trials_within(plan.budget, trial), plan.budget.describe()
    hours = plan.budget.hours
    if hours is not None and hours * 3600 < trial:
        lines = [
            f"On this hardware: {grounds}; no trial ends within {number_of(hours, 'hour', 'g')}."
        ]
        return [*lines, advice(forecast, plan, hours)]
    trials = ""
    if enough is not None:
        trials = f"; {limits} are enough for about {number_of(round(enough), 'trial')}"
    alone = f" {TIMED_ALONE}" if forecast.alone else ""
    return [f"On this hardware: {grounds}{trials}.{alone}"]


def epochs_text(forecast: Forecast, plan: Plan) -> str:
    """Return the epochs of a trial on each benchmark, and how long one takes."""
    pairs = zip(plan.benchmarks, forecast.epoch_seconds, strict=False)
    parts = [f"{number_of(b.epochs, 'epoch')} x {seconds_text(each)}" for b, each in pairs]
    return " + ".join(parts)


def seconds_text(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.2g} s"


def advice(forecast: Forecast, plan: Plan, hours: float) -> str:
    """Return how to see results within so many hours."""
    fewest = plan.budget.fewest_trials
    trials = min(plan.budget.trials or fewest, fewest)
    longest = max(benchmark.epochs for benchmark in plan.benchmarks)
    epoch = sum(forecast.epoch_seconds[: len(plan.benchmarks)])
    one = epoch * max(trials / forecast.concurrency, 0 if forecast.slots else 1)
    epochs = min(longest, max(1, int(3600 * hours / one)))
    elsewhere = "" if plan.resources.gpu else "; or use a machine with a GPU"
    return (
        f"To see results sooner: --trials {trials} --epochs {epochs} takes "
        f"{rough_duration(one * epochs)}, --benchmark {SMALL} --trials 32 a few minutes{elsewhere}."
    )


def phases_text(budget: Budget) -> str:
    """Return how the budget is split, and why it is not."""
    if not budget.confirm:
        return "no confirmation; confirm RUN adds it"
    if not budget.confirm_runs:
        return (
            f"note: {number_of(budget.trials or 0, 'trial')}: too few for a confirmation; from "
            f"{budget.fewest_trials} on, "
            f"{'some' if budget.block else 'a third'} of them confirms the best (or: confirm RUN)"
        )
    if budget.trials is None:
        runs = budget.confirm_runs
        return f"up to two thirds of the time search, the rest confirms in up to {runs} runs"
    searching = number_of(budget.search_trials or 0, "trial")
    verb = "searches" if budget.search_trials == 1 else "search"
    return f"{searching} {verb}, up to {budget.confirm_runs} confirm the best"


def scores_text(benchmark: BenchmarkObjective) -> list[str]:
    """Return by what a benchmark's networks are scored, where that is not plain accuracy."""
    lines = []
    if benchmark.half_counts is None:
        return [f"{benchmark.name}: scored by the accuracy that its function reports"]
    sentence = metric_sentence(benchmark.metric, benchmark.chosen_on, benchmark.selection_counts)
    if sentence:
        lines.append(f"{benchmark.name}: {sentence}")
    if benchmark.test_held_out:
        validation, test = map(sum, benchmark.half_counts)
        lines.append(
            f"{benchmark.name}: epochs and weightings are chosen on the {validation} validation "
            f"images; the {test} test images are for the verdict"
        )
    return lines


def prior_text(search: Search) -> list[str]:
    """Return which earlier runs the model's prior comes from."""
    assert search.record.begun is not None
    return [
        f"prior {run.run}: {run.results} full-length results say what to expect of "
        f"{len(run.weightings)} weightings; how much of that holds here is learnt from the results"
        for run in search.record.begun.prior
    ]


def named_text(settings: Settings, search: Search) -> list[str]:
    """Return which named strategies run first, and which do not."""
    controls, named = search.record.controls(), search.record.named()
    counts = [benchmark.counts for benchmark in search.objective.benchmarks]
    lines = [
        f"{'control' if name in controls else 'first'} {name}: {definition(name)}; "
        f"{effect(STRATEGIES[name].strategy, search.objective)}"
        for name in (*controls, *named)
    ]
    return lines + sentences_on(settings, (*controls, *named), counts)


def symbols_text(space: str) -> str:
    """Return the symbols of a space's parameters in words."""
    domains = SPACES[space].searched(SCALE_FREE_LOSS)
    known = (PARAMETERS[domain.name] for domain in domains if isinstance(domain, Float))
    words = ", ".join(f"{parameter.symbol} ({parameter.word})" for parameter in known)
    return f"searched: {words}; '{PROGRAM} list spaces' says what they do"


def notes(plan: Plan, search: Search) -> list[str]:
    """Return what a person should know before a search begins."""
    lines = []
    if collapsed := SPACES[plan.settings.space].collapsed(SCALE_FREE_LOSS):
        lines.append(
            f"not searched: {', '.join(collapsed)}, because the loss divides by the sum of the "
            "weights in a batch, so that their scale has no effect"
        )
    lines += stopping_notes(plan.settings, search)
    lines += [
        f"note: {b.name} is the leaderboard's hidden setting, to be judged on once, at the end; a "
        "weighting that was searched on it is no longer judged by it"
        for b in plan.benchmarks
        if isinstance(b, Benchmark) and b.role == "hidden"
    ]
    trials = plan.budget.search_trials
    if trials is not None and trials <= len(search.record.controls()) + len(search.record.named()):
        first = "controls" if not search.record.named() else "named strategies"
        lines.append(
            f"note: the {first} take every trial of the search ({trials}), so nothing else is "
            "searched; raise --trials"
        )
    return lines + progress_notes(search)


def stopping_notes(settings: Settings, search: Search) -> list[str]:
    """Return what of early stopping may surprise."""
    rungs = search.rungs.epochs
    if rungs and not SAMPLERS[settings.sampler].learns_from_stopped:
        return [
            f"note: sampler {settings.sampler} learns nothing from trials that are stopped early; "
            "tpe does"
        ]
    if settings.early_stopping != "none" and not rungs:
        epochs = search.objective.epochs
        given = f"--grace-epochs is {settings.grace_epochs} and " if epochs > 1 else ""
        length = f"trials have {number_of(epochs, 'epoch')}"
        needed = "" if given else "; early stopping needs 2 or more"
        return [f"note: no trial is stopped early, because {given}{length}{needed}"]
    return []


def progress_notes(search: Search) -> list[str]:
    """Return what earlier attempts left, nothing of a new run."""
    lines = []
    if search.ended or search.running:
        going_on = {0: "none goes on", 1: "1 goes on"}.get(n := len(search.adopted), f"{n} go on")
        lines = [
            f"resumed: {number_of(len(search.ended), 'trial')} ended before, {going_on}",
            *search.resumed,
        ]
    if search.finished():
        lines.append(DONE)
    return lines
