"""The standings of a search's weightings, given that every result is partly luck."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from search.config.objective import Objective
from search.config.settings import UNIFORM
from search.stats.ranking import GroupPosterior, Ranking, rank
from search.stats.replicates import StrategyGroups
from search.stats.ties import in_order, number_of_values
from search.store.trials import BASELINES, Row, TrialState

if TYPE_CHECKING:
    from search.session.design.run_model import RunModel

Preference = tuple[bool, bool, int, int]
"""Not uniform, not a control, number of parameters, group."""


class Standings:
    """The standings rank a search's distinct weightings, the best posterior mean first.

    The estimates are those of the run's model where it has one, else of exchangeable weightings. A
    trial whose weighting is within a total variation of .01 of an earlier one is a replicate of it:
    their results are pooled. Of equal means, uniform weights come first, then the other controls,
    then the weightings of the fewest parameters, then the earliest. Trials are to be added in the
    order in which they were asked.
    """

    def __init__(self, objective: Objective, model: "RunModel | None" = None) -> None:
        """``model`` is told of the trials here."""
        self.objective, self.model = objective, model
        self.groups = StrategyGroups([b.counts for b in objective.benchmarks])
        self.group: dict[str, int] = {}
        """Group of each trial, by key."""
        self.results: dict[str, Row] = {}
        """The full-length trials, by key."""
        self.members: dict[int, list[Row]] = {}
        """The same by group."""
        self.preferences: dict[int, Preference] = {}
        """By which groups of equal means are ordered, the lowest first."""
        self._ranking: Ranking | None = None

    @classmethod
    def of(
        cls, objective: Objective, rows: Iterable[Row], model: "RunModel | None" = None
    ) -> "Standings":
        """Return the standings of the trials in ``rows`` that belong to the search itself."""
        standings = cls(objective, model)
        for row in rows:
            if row.in_search:
                standings.start(row)
                standings.end(row)
        return standings

    def start(self, row: Row) -> None:
        """Take up a trial that begins; taking it up again changes nothing."""
        if row.key not in self.group:
            self.group[row.key] = self.groups.add(row.strategy)
            if self.model is not None:
                self.model.begin(row)

    def end(self, row: Row) -> None:
        """Take the result of a trial that was started; only a full-length one counts."""
        if self.model is not None:
            self.model.end(row)
            self._ranking = None
        if row.state == TrialState.COMPLETE:
            self.results[row.key] = row
            group = self.group[row.key]
            self.members.setdefault(group, []).append(row)
            first = self.first_row(group)
            parameters = number_of_values(first.strategy.to_dict())
            named = first.label != UNIFORM, not first.is_baseline
            self.preferences[group] = (*named, parameters, group)
            self._ranking = None

    def ranking(self) -> Ranking | None:
        """Return the weightings with a full-length result; None if there is none."""
        if self._ranking is None and self.results:
            keys = sorted(self.results, key=_order)
            groups = [self.group[key] for key in keys]
            values = [self.results[key].value or 0.0 for key in keys]
            ranking = rank(groups, values, self.objective.noise_prior)
            if self.model is not None:
                strategies = {group: self.first_row(group).strategy for group in set(groups)}
                ranking = self.model.ranked(ranking, strategies)
            means = [known.mean for known in ranking.groups]
            order = in_order(means, lambda i: self.preferences[ranking.groups[i].group])
            self._ranking = replace(ranking, groups=tuple(ranking.groups[i] for i in order))
        return self._ranking

    def known(self) -> dict[str, GroupPosterior]:
        """Return what is known of the weighting of every full-length trial, by key."""
        ranking = self.ranking()
        groups = {known.group: known for known in ranking.groups} if ranking else {}
        return {key: groups[self.group[key]] for key in self.results}

    def shown_values(self) -> dict[str, float]:
        """Return the posterior mean of every full-length trial, by key.

        For a model of the results that takes them for true: a repeated weighting counts by all of
        its runs, and a lucky single run counts for less.
        """
        return {key: known.mean for key, known in self.known().items()}

    def first_row(self, group: int) -> Row:
        """Return the earliest full-length trial of a weighting, baselines before proposals."""
        return min(self.members[group], key=lambda row: _order(row.key))

    def uniform_mean(self) -> float | None:
        """Return the posterior mean of uniform weights, None before they ran at full length."""
        ranking = self.ranking()
        keys = [k for k, row in self.results.items() if row.is_baseline and row.label == UNIFORM]
        if ranking is None or not keys:
            return None
        return next(g.mean for g in ranking.groups if g.group == self.group[keys[0]])

    def best_baseline(self) -> Row | None:
        """Return the best baseline other than uniform, by posterior mean; None without any."""
        firsts = (self.first_row(group) for group in self._ranked())
        named = (row for row in firsts if row.is_baseline and row.label != UNIFORM)
        return next(named, None)

    def candidates(self, most: int, controls: Collection[str]) -> list[Row]:
        """Return the best weightings, each by its earliest trial, without ``controls`` (labels)."""
        firsts = (self.first_row(group) for group in self._ranked())
        return list(islice((row for row in firsts if row.label not in controls), most))

    def _ranked(self) -> Iterator[int]:
        ranking = self.ranking()
        return (group.group for group in ranking.groups) if ranking else iter(())


def _order(key: str) -> tuple[bool, str]:
    return not key.startswith(BASELINES), key
