"""The model of gradient shares, against a direct Gaussian process and by what must not matter."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist, pdist
from scipy.stats import multivariate_t

from search.samplers import candidates
from search.samplers.candidates import Candidates, cover
from search.samplers.matern import eigenfunctions, matern
from search.samplers.shares_model import LEVEL_VARIANCE, ModelPrior, Results, SharesModel
from search.stats.priors import NoisePrior
from spaces import NAMED, SPACES
from spaces.counts import FloatArray
from trainer.benchmarks import BENCHMARKS

COUNTS = np.array(BENCHMARKS["resnet8-digitslt"].counts)
NAMES = ("uniform", "sqrt_inverse")
NOISE = NoisePrior(0.8, 3.0)


@pytest.fixture(scope="module")
def few() -> Candidates:
    return covered(20)


def covered(most: int) -> Candidates:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(candidates, "POINTS", 256)
        return cover(SPACES["core"], [COUNTS], [NAMED[name].weighting for name in NAMES], most)


def trials(n: int = 24, block: int = 3, m: int = 20) -> list[tuple[int, int, float]]:
    """Made-up results, of which three share a seed."""
    random = np.random.default_rng(n)
    tried = [int(random.integers(m)) for _ in range(n)]
    return [(c, i // block, 60 + c / 10 + random.standard_normal()) for i, c in enumerate(tried)]


def direct(
    points: FloatArray, results: Results, length: float, signal: float, share: float
) -> tuple[FloatArray, FloatArray, float]:
    """Means and scale matrix of the true scores, and the log density of the results.

    All in one covariance over results, in units of a noise variance that is integrated out.
    """
    typical = np.median(pdist(points))
    prior = signal**2 * matern(cdist(points, points) / typical / length)
    prior += LEVEL_VARIANCE
    of, y = results.candidate, results.value
    offset = y.mean()
    noise = (1 - share) * np.eye(len(y)) + share * np.equal.outer(results.seed, results.seed)
    between = prior[np.ix_(of, of)] + noise
    gain = np.linalg.solve(between, prior[of]).T
    freedom = NOISE.runs + len(y)
    squares = (y - offset) @ np.linalg.solve(between, y - offset)
    scale = (NOISE.runs * NOISE.sd**2 + squares) / freedom
    density = multivariate_t.logpdf(y - offset, shape=between * NOISE.sd**2, df=NOISE.runs)
    return offset + gain @ (y - offset), scale * (prior - gain @ prior[of]), float(density)


def mixed(densities: list[float]) -> FloatArray:
    """Weights of combinations with these log densities of the results."""
    weights = np.exp(np.array(densities) - max(densities))
    return np.asarray(weights / weights.sum())


@pytest.mark.parametrize("share", (0.0, 0.45))
@pytest.mark.parametrize("block", (1, 3))
def test_the_regression_equals_a_gaussian_process(
    few: Candidates, share: float, block: int
) -> None:
    results = Results.of(trials(block=block))
    prior = ModelPrior((0.7,), (0.9,), (share,), noise=NOISE)
    posterior = SharesModel(few, prior).posterior(results, seed=1)
    of_both = [direct(points, results, 0.7, 0.9, share) for points in (few.features, few.plain)]
    weights = mixed([density for *_, density in of_both])
    means = weights @ np.array([m for m, *_ in of_both])
    covariance = sum(
        w * (c + np.outer(m - means, m - means))
        for w, (m, c, _) in zip(weights, of_both, strict=True)
    )
    assert posterior.mean == pytest.approx(means, abs=1e-4)
    assert posterior.contender_sd() == pytest.approx(np.sqrt(np.diag(covariance)), rel=1e-3)
    rows = np.array([3, 0, 7])
    made = posterior.covariance(rows)[:-1, :-1]
    assert made == pytest.approx(covariance[np.ix_(rows, rows)], rel=1e-2, abs=1e-4)


def test_combinations_are_weighed_by_their_marginal_likelihood(few: Candidates) -> None:
    results = Results.of(trials())
    prior = ModelPrior((0.5, 2.0), (0.3, 1.5), (0.0, 0.45), noise=NOISE)
    model = SharesModel(few, prior)
    posterior = model.posterior(results)
    kernels = [(points, length) for points in (few.features, few.plain) for length in prior.lengths]
    found = [
        direct(kernels[kernel][0], results, kernels[kernel][1], signal, share)
        for kernel, share, signal in model.combinations
    ]
    weights = mixed([density for *_, density in found])
    assert len(posterior.weights) == len(found)
    assert posterior.weights == pytest.approx(weights, rel=1e-3)
    assert posterior.mean == pytest.approx(weights @ np.array([m for m, *_ in found]), abs=1e-3)


def test_pending_trials_narrow_the_posterior_and_move_no_mean(few: Candidates) -> None:
    model = SharesModel(few, ModelPrior())
    without = model.posterior(Results.of(trials()))
    waiting = model.posterior(Results.of(trials(), [(5, 90), (5, 91)]))
    assert waiting.mean == pytest.approx(without.mean)
    assert waiting.weights == pytest.approx(without.weights)
    assert waiting.sd()[5] < 0.9 * without.sd()[5]


def test_the_order_of_results_and_the_numbers_of_seeds_do_not_matter(few: Candidates) -> None:
    model, made = SharesModel(few, ModelPrior(apart=2.0)), trials()
    renumbered = [(c, 100 - seed, value) for c, seed, value in reversed(made)]
    one, other = model.posterior(Results.of(made)), model.posterior(Results.of(renumbered))
    assert other.mean == pytest.approx(one.mean)
    assert other.sd() == pytest.approx(one.sd())


def test_what_a_seed_does_to_all_cancels_in_differences(few: Candidates) -> None:
    model = SharesModel(few, ModelPrior(seed_shares=(0.9,), noise=NOISE))
    pairs = [(c, seed, 60 + 3 * seed + c) for seed in range(4) for c in (0, 1)]
    together = model.posterior(Results.of(pairs))
    low, high = together.interval(1, 0)
    assert low < 1 < high
    alone = model.posterior(Results.of([(c, i, value) for i, (c, _, value) in enumerate(pairs)]))
    assert high - low < 0.7 * (alone.interval(1, 0)[1] - alone.interval(1, 0)[0])


def test_standard_deviations_are_those_of_the_mixture(few: Candidates) -> None:
    posterior = SharesModel(few, ModelPrior()).posterior(Results.of(trials(8)))
    drawn = posterior.sample(np.arange(20), 100_000).std(axis=0)
    assert posterior.sd() == pytest.approx(drawn, rel=0.03)
    assert (posterior.contender_sd() < 0.95 * posterior.sd()).all()


def test_intervals_are_quantiles_of_the_mixture(few: Candidates) -> None:
    posterior = SharesModel(few, ModelPrior()).posterior(Results.of(trials()))
    random = np.random.default_rng(0)
    picks = random.choice(len(posterior.weights), 100_000, p=posterior.weights)
    contrast = (posterior.bases[:, 4] - posterior.bases[:, 2])[posterior.kernel]
    sds = np.sqrt(posterior.scales * ((contrast[:, None] @ posterior.roots)[:, 0] ** 2).sum(axis=1))
    centres = posterior.means[:, 4] - posterior.means[:, 2]
    draws = centres[picks] + sds[picks] * random.standard_t(posterior.freedom, len(picks))
    assert posterior.interval(4, 2) == pytest.approx(np.quantile(draws, [0.025, 0.975]), abs=0.03)


def test_uniform_weights_apart_take_nothing_from_others_and_give_nothing(few: Candidates) -> None:
    model = SharesModel(few, ModelPrior(signals=(0.2,), apart=30.0))
    made = [trial for trial in trials() if trial[0]]
    high = model.posterior(Results.of([*made, (0, 99, 95.0), (0, 100, 95.0)]))
    low = model.posterior(Results.of([*made, (0, 99, 25.0), (0, 100, 25.0)]))
    assert high.mean[0] == pytest.approx(95, abs=0.5)
    assert high.mean[1:] == pytest.approx(low.mean[1:], abs=0.5)


def test_nothing_is_expected_where_nothing_is_known(few: Candidates) -> None:
    mean = SharesModel(few, ModelPrior()).posterior(Results.of([])).mean
    assert mean == pytest.approx(0)


def test_leading_eigenfunctions_hold_most_of_the_process() -> None:
    features = covered(200).features
    typical = float(np.median(pdist(features)))
    for length, least in ((0.4, 0.85), (1.0, 0.99), (2.5, 0.999)):
        functions = eigenfunctions(features, length * typical)
        variances = (functions**2).sum(axis=1)
        assert functions.shape == (len(features), 48)
        assert least < variances.mean() <= 1
        assert variances.max() <= 1 + 1e-9
