"""Search from Python: it is begun, or looked at beforehand in a dry run."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from search.api.call import arguments_named, check_thread, console_for, ended_well
from search.api.run_class import Run
from search.config.request import AnyPath, Device, Names, Request
from search.results.conclusion import Conclusion

if TYPE_CHECKING:
    from search.api.dry_run import DryRun

P = ParamSpec("P")
T = TypeVar("T")


def run(
    benchmark: Names | Path = Request.benchmark,
    trials: int | None = Request.trials,
    *,
    trainable: str | Callable[..., object] | None = Request.trainable,
    class_counts: object = Request.class_counts,
    name: str | None = Request.name,
    runs: AnyPath = Request.runs,
    data_root: AnyPath = Request.data_root,
    resume: bool = Request.resume,
    holdout: object = Request.holdout,
    hours: float | None = Request.hours,
    gpu_hours: float | None = Request.gpu_hours,
    confirm: bool = Request.confirm,
    confirm_runs: int | None = Request.confirm_runs,
    interval: float | None = Request.interval,
    epochs: int | None = Request.epochs,
    space: str = Request.space,
    baselines: Names | None = Request.baselines,
    sampler: str = Request.sampler,
    prior: AnyPath | Sequence[AnyPath] = Request.prior,
    early_stopping: str = Request.early_stopping,
    grace_epochs: int | None = Request.grace_epochs,
    reduction_factor: int = Request.reduction_factor,
    seed: int = Request.seed,
    precision: str = Request.precision,
    compile: bool = Request.compile,
    device: Device = Request.device,
    slots: int | None = Request.slots,
    cpus_per_trial: int = Request.cpus_per_trial,
    concurrent: int | None = Request.concurrent,
    address: str | None = Request.address,
    save_every: int | None = Request.save_every,
    log: Names = Request.log,
    quiet: bool = False,
) -> Run:
    """Search, confirm the best with fresh seeds, export the winner, and return the run.

    It does what the command line does, and each argument is the option of that name. Ctrl-C saves
    every running trial and then raises KeyboardInterrupt: the same call with ``resume=True`` goes
    on.

    Args:
        benchmark: a name, a TOML file or a folder of images; several to search on jointly;
            none where there is a trainable.
        trainable: MODULE:FUNCTION or FILE.py:FUNCTION of your own that trains, or a function of a
            module that workers can import.
        class_counts: of its images: a file, a sequence by label, or a mapping by class name or by
            column, such as {"train": [...], "test": [...]}.
        trials: in total, 1 or more, controls and confirmation included; None for 64, or for no
            limit where hours are given.
        name: of the run's folder; None for the benchmark's.
        runs: folder of all runs.
        data_root: folder of the data sets.
        resume: continue the run of this name.
        holdout: benchmark on which the verdict's strategies are tried at the end; of a trainable,
            class counts of other data.
        hours: wall-clock hours of this attempt, above 0; None for no limit.
        gpu_hours: of training, over all attempts, above 0; None for no limit.
        confirm: whether the best are trained again with fresh seeds.
        confirm_runs: at most, 9 or more; None for a third of the trials.
        interval: with "knowledge-gradient": to how many points the lead over uniform is to be
            known in the end, each way with 95 %, above 0; None for nine runs.
        epochs: shortens the protocol; None for the benchmark's own. Of a trainable, its length.
        space: what is searched, a key of ``spaces.SPACES``.
        baselines: names of the controls, or "none"; None for those of the space.
        sampler: what proposes strategies; "auto" chooses.
        prior: with "knowledge-gradient": earlier runs, or their folders, from which it learns what
            to expect.
        early_stopping: the rule by which trials are stopped early; "none" for no rule.
        grace_epochs: never stop a trial before, 1 or more; None for a quarter of the epochs.
        reduction_factor: a rung keeps the best 1 in so many, 2 or more.
        seed: all seeds of trials derive from it, 0 or more.
        precision: arithmetic of the training, a key of ``trainer.runtime.PRECISIONS``.
        compile: training and test through ``torch.compile``.
        device: "cpu", "cuda", or "auto" for GPUs if there are any.
        slots: trials that share a GPU, 1 or more; None to try it out.
        cpus_per_trial: or per GPU, 1 or more.
        concurrent: trials at a time, 1 or more; None for as many as fit.
        address: of a Ray cluster, or "local"; None for that which this machine is part of, if any.
        save_every: epochs between checkpoints, 1 or more; None for 5 on CPUs and 20 on GPUs.
        log: names of tools that are told of every epoch, too, such as "tensorboard".
        quiet: print nothing; the run's ``log.txt`` tells all of it.

    Raises:
        UserError: bad input: the sentence names the argument, the rule and what to do.
        StoppedError: the search ended before all trials did, or exported nothing.
        KeyboardInterrupt: Ctrl-C, or SIGTERM.
    """
    given = dict(locals())
    check_thread("search.run")
    from search.api.begin import begin
    from search.api.planning import chosen_budget
    from search.api.words import again_in_python, request_of, words_of

    with arguments_named():
        console = console_for(given.pop("quiet"))
        request = request_of(given)
        budget = chosen_budget(request)
        words, again = words_of(request), again_in_python(request)
        ending = begin(request, budget, console, arguments=words, again=again, owns_process=False)
    return Run(Conclusion.of(ended_well(ending, again)))


def with_arguments_of(
    function: Callable[P, object],
) -> Callable[[Callable[..., T]], Callable[P, T]]:
    """Give a function that takes a mapping of arguments those of another, by name and place."""
    signature = inspect.signature(function)

    def taking(function: Callable[..., T]) -> Callable[P, T]:
        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            return function(bound.arguments)

        answer = inspect.signature(function).return_annotation
        call.__signature__ = signature.replace(return_annotation=answer)  # type: ignore[attr-defined]
        return call

    return taking


@with_arguments_of(run)
def dry_run(given: dict[str, Any]) -> DryRun:
    """Say what ``search.run`` would do with these arguments and what it costs, and begin nothing.

    It prepares the images, and times a few batches where the trials would train; a training of
    your own trains two epochs. No run folder is made.

    Raises:
        UserError: the search would be refused; the sentence says why.
        KeyboardInterrupt: Ctrl-C, or SIGTERM.
    """
    check_thread("search.dry_run")
    from search.api.begin import begin_dry
    from search.api.planning import chosen_budget
    from search.api.words import request_of

    with arguments_named():
        console = console_for(given.pop("quiet"))
        request = request_of(given)
        return begin_dry(request, chosen_budget(request), console, owns_process=False)
