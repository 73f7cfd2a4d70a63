"""Searches with and without a prior, replayed: does an earlier search help, and what if it errs?

A search of 40 trials on 10 classes comes before one of 64 on 100 classes, whose truth is the same
function, a related one, an unrelated one or the opposite. From the repository's root:

    python -m benchmarks.replay.full_length.prior_search --kinds mech,smooth --repetitions 100
"""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.endings import stoppable
from benchmarks.option_checks import check_choice, check_minimum, check_out
from benchmarks.replay.choosing import Choice
from benchmarks.replay.full_length.shares_search import BLOCK_RUNS, SharesSearch
from benchmarks.replay.full_length.transfer_worlds import BEFORE, KINDS, NOW, RELATIONS, world_of
from benchmarks.replay.run import RESAMPLES, figure
from benchmarks.replay.world import World
from search.samplers.transfer import Expected, expected_of
from trainer.arguments import Parser
from trainer.entry_point import entry_point
from trainer.files import write_atomic
from trainer.provenance import provenance
from trainer.runtime import available_cpus

TRIALS_BEFORE, TRIALS = 40, 64
LOOKS = (8, 16, 32, TRIALS)
"""Runs after which the choice is compared with the truth."""
WORKERS = 4
WITHOUT = "none"


@dataclass(frozen=True)
class Outcome:
    """What a search came to; differences in points.

    Attributes:
        regret: after each of ``LOOKS``.
        bias, covered: of the stated accuracy of the winner, in the end.
        lead_bias, lead_covered: of its stated lead over uniform weights; nan where they won.
        kept: how much of the prior the results keep; nan without one.
    """

    regret: tuple[float, ...]
    bias: float
    covered: float
    lead_bias: float
    lead_covered: float
    kept: float


def expected(kind: str, relation: str, seed: int) -> Expected:
    """Search the earlier benchmark, and return what is then expected of weightings."""
    world = world_of(kind, BEFORE, seed, RELATIONS[relation])
    search = SharesSearch(world, "spread", WORKERS, (seed, 0))
    search.search(TRIALS_BEFORE)
    return expected_of(search.model.candidates, search.posterior())


def outcome(world: World, prior: tuple[Expected, ...], seed: int) -> Outcome:
    """Search with a prior, the last runs of which are a block with fresh seeds."""
    search = SharesSearch(world, "spread", WORKERS, (seed, 1), prior)
    search.search(TRIALS - BLOCK_RUNS)
    search.block(BLOCK_RUNS)
    choice: Choice = search.choice()
    assert choice.interval is not None
    lead, true_lead = choice.lead, choice.truth - world.controls["uniform"].truth
    kept = search.model.kept(search.posterior())
    return Outcome(
        regret=tuple(world.best - search.candidate(search.winner(n)).truth for n in LOOKS),
        bias=choice.reported - choice.truth,
        covered=float(choice.interval[0] <= choice.truth <= choice.interval[1]),
        lead_bias=lead.value - true_lead if lead else np.nan,
        lead_covered=float(lead.interval[0] <= true_lead <= lead.interval[1]) if lead else np.nan,
        kept=kept[0][0] if kept else np.nan,
    )


def repetition(kind: str, seed: int) -> dict[str, Outcome]:
    """Search without a prior and with each, with the same noise."""
    world = world_of(kind, NOW, seed)
    priors = {WITHOUT: ()} | {name: (expected(kind, name, seed),) for name in RELATIONS}
    return {name: outcome(world, prior, seed) for name, prior in priors.items()}


def summary(found: list[dict[str, Outcome]]) -> dict[str, dict[str, Any]]:
    """Return the mean of every figure with its bootstrap 95 % interval, by prior.

    ``against_none`` is the regret less that without a prior in the same repetition.
    """
    picks = np.random.default_rng(0).integers(len(found), size=(RESAMPLES, len(found)))
    plain = np.array([each[WITHOUT].regret for each in found])
    summaries = {}
    for name in found[0]:
        regret = np.array([each[name].regret for each in found])
        summaries[name] = {
            "regret": {str(n): figure(r, picks) for n, r in zip(LOOKS, regret.T, strict=True)},
            "against_none": {
                str(n): figure(r, picks) for n, r in zip(LOOKS, (regret - plain).T, strict=True)
            },
            **{
                key: figure(np.array([getattr(each[name], key) for each in found]), picks)
                for key in ("bias", "covered", "lead_bias", "lead_covered", "kept")
            },
        }
    return summaries


def table(summaries: dict[str, dict[str, Any]]) -> str:
    """Return a line per prior: regrets, what the prior changes, and how honest the end is."""
    lines = ["prior       regret after " + ", ".join(map(str, LOOKS)) + "; less that without"]
    for name, figures in summaries.items():
        regret = " ".join(f"{figures['regret'][str(n)]['mean']:.2f}" for n in LOOKS)
        gaps = (figures["against_none"][str(n)] for n in LOOKS)
        paired = " ".join(f"{g['mean']:+.2f} [{g['low']:+.2f}, {g['high']:+.2f}]" for g in gaps)
        rest = " ".join(
            f"{key} {figures[key]['mean']:.2f}"
            for key in ("bias", "covered", "lead_bias", "lead_covered", "kept")
            if figures[key]
        )
        lines.append(f"{name:<11} {regret}; {paired}; {rest}")
    return "\n".join(lines)


@entry_point()
def main(command: list[str] | None = None) -> int:
    """Replay what the command line asks for; return the exit code, 2 for bad input.

    Repetitions of all kinds take turns. Whatever ends it, those until then are written, if two are
    there; after Ctrl-C or SIGTERM it returns 130.
    """
    arguments = sys.argv[1:] if command is None else command
    parser = Parser(prog="python -m benchmarks.replay.full_length.prior_search")
    parser.add_argument("--kinds", default=",".join(KINDS), help=", ".join(KINDS))
    parser.add_argument("--repetitions", type=int, default=100)
    parser.add_argument("--out", type=Path, default=Path("replay-prior.json"), help="file to write")
    options = parser.parse_args(arguments)
    kinds = list(dict.fromkeys(options.kinds.split(",")))
    for kind in kinds:
        check_choice("--kinds", kind, KINDS)
    check_minimum("--repetitions", options.repetitions, 2)
    check_out(options.out)
    done: dict[str, list[dict[str, Outcome]]] = {kind: [] for kind in kinds}
    with stoppable() as ending:
        for seed in range(options.repetitions):
            for kind in kinds:
                done[kind].append(repetition(kind, seed))
            print(f"{seed + 1} of {options.repetitions} repetitions", flush=True)
    found = {kind: summary(each) for kind, each in done.items() if len(each) > 1}
    if not found:
        return ending.code()
    content = {
        "command": shlex.join(["python", "-m", parser.prog.split()[-1], *arguments]),
        "cpus": available_cpus(),
        **provenance(),
        "interrupted": ending.early,
        "repetitions": {kind: len(done[kind]) for kind in found},
        "trials": {"earlier": TRIALS_BEFORE, "search": TRIALS, "block": BLOCK_RUNS},
        "correlations": RELATIONS,
        "kinds": found,
    }
    write_atomic(options.out, json.dumps(content, indent=1).encode())
    for kind, summaries in found.items():
        print(f"\n{kind}, {len(done[kind])} repetitions\n{table(summaries)}")
    return ending.code()


if __name__ == "__main__":
    sys.exit(main())
