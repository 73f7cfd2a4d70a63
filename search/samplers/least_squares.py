"""Generalised least squares: sums over results by candidate and by seed, and whitened features.

Results of one seed share a part of their noise (compound symmetry). The sums are sufficient: what
is computed from them costs as much for twenty thousand results as for twenty, but for the seeds
that several results share.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from spaces.counts import FloatArray


@dataclass(frozen=True)
class Whitened:
    """Sums of generalised least squares at noise variance 1.

    With X the features of the results, y their values, V the covariance of their noise:

    Attributes:
        gram: X' V^-1 X, (D, D).
        right: X' V^-1 y, (D,).
        square: y' V^-1 y.
        log_noise: log |V|.
    """

    gram: FloatArray
    right: FloatArray
    square: float
    log_noise: float


@dataclass(frozen=True)
class Totals:
    """Numbers of results, (A,), and sums of their values, (A,), by candidate."""

    n: FloatArray
    value: FloatArray

    @classmethod
    def of(cls, row: npt.NDArray[np.int64], value: FloatArray, rows: int) -> Totals:
        return cls(
            np.bincount(row, minlength=rows).astype(np.float64),
            np.asarray(np.bincount(row, value, minlength=rows), dtype=np.float64),
        )


@dataclass(frozen=True)
class Sums:
    """Sums over results.

    Attributes:
        rows: candidates with results, ascending, (A,).
        all, single, current: of all results, of those whose seed has no other, and of those with
            the seed of the next trial, which count for neither of the other two by seed.
        by_seed: results of each candidate with each of J seeds that several results share, (J, A).
        shared: of these seeds, (J,).
        square, single_square: sums of squared values, of all and of ``single``.
    """

    rows: npt.NDArray[np.int64]
    all: Totals
    single: Totals
    current: Totals
    by_seed: csr_array
    shared: Totals
    square: float
    single_square: float

    @classmethod
    def of(
        cls,
        candidate: npt.NDArray[np.int64],
        seed: npt.NDArray[np.int64],
        value: FloatArray,
        current: int,
    ) -> Sums:
        """Sum over N results, (N,) each; ``current`` is the seed of the next trial."""
        rows, row = np.unique(candidate, return_inverse=True)
        _, place, count = np.unique(seed, return_inverse=True, return_counts=True)
        now = seed == current
        alone, several = (count[place] == 1) & ~now, (count[place] > 1) & ~now
        names, of_seed = np.unique(place[several], return_inverse=True)
        ones, shape = np.ones(len(of_seed)), (len(names), len(rows))
        return cls(
            rows=rows,
            all=Totals.of(row, value, len(rows)),
            single=Totals.of(row[alone], value[alone], len(rows)),
            current=Totals.of(row[now], value[now], len(rows)),
            by_seed=csr_array((ones, (of_seed, row[several])), shape=shape),
            shared=Totals.of(of_seed, value[several], len(names)),
            square=float((value**2).sum()),
            single_square=float((value[alone] ** 2).sum()),
        )

    def whitened(self, features: FloatArray, share: float) -> list[Whitened]:
        """Return the sums of generalised least squares for each of L features, (L, M, D), of all
        candidates.

        A seed brings the part ``share`` of the noise variance. That of the next trial is not in
        the noise: it is the last of the coefficients, whose feature is 0 for all candidates.
        """
        own = 1 - share
        one, many = share / own, share / (own * (own + share * self.shared.n))
        numbers = self.all.n / own - one * self.single.n
        values = self.all.value / own - one * self.single.value
        values -= self.by_seed.T @ (many * self.shared.value)
        if share:
            between = (self.by_seed.T @ self.by_seed.multiply(many[:, None])).toarray()
        square = self.square / own - one * self.single_square
        square -= float((many * self.shared.value**2).sum())
        within = self.shared.n.sum() - len(self.shared.n) + self.current.n.sum()
        log_noise = float(np.log(own) * within + np.log(own + share * self.shared.n).sum())
        found = []
        for x in features[:, self.rows]:
            gram = (x.T * numbers) @ x
            if share:
                gram -= x.T @ (between @ x)
            right = values @ x
            beside = self.current.n @ x / own
            gram[-1] += beside
            gram[:, -1] += beside
            gram[-1, -1] += self.current.n.sum() / own
            right[-1] += self.current.value.sum() / own
            found.append(Whitened(gram, right, square, log_noise))
        return found
