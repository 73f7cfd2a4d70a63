"""What earlier searches expect at a new one's candidates, and how its results weigh it."""

import numpy as np
import pytest

from search.samplers import candidates
from search.samplers.candidates import Candidates, Counts, cover
from search.samplers.shares_model import KEPT, ModelPrior, Results, SharesModel
from search.samplers.transfer import Expected, transferred
from search.stats.priors import NoisePrior
from spaces import NAMED, SPACES, Weighting

FEW, MANY = (900, 90, 9), tuple((1000 * 100.0 ** (-np.arange(300) / 299)).astype(int).tolist())
NAMES = ("uniform", "sqrt_inverse")
NOISE = NoisePrior(0.8, 3.0)


def covered(counts: tuple[int, ...]) -> Candidates:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(candidates, "POINTS", 64)
        return cover(SPACES["core"], [np.array(counts)], [NAMED[n].weighting for n in NAMES])


def hill(found: Candidates) -> Expected:
    """Expect the most of exponents about .7, in noise SDs."""
    means = -4 * np.abs(np.array([w.exponent for w in found.weightings]) - 0.7)
    return Expected(found.weightings, tuple((means - means.mean()).tolist()))


@pytest.fixture(scope="module")
def many() -> Candidates:
    return covered(MANY)


def test_on_the_same_counts_each_weighting_is_expected_what_it_was(many: Candidates) -> None:
    expected = hill(many)
    column = transferred(many, Counts([MANY]), [expected])[:, 0]
    assert column == pytest.approx(expected.means, abs=0.05)
    assert column[0] == expected.means[0]


def test_three_classes_tell_what_to_expect_of_three_hundred(many: Candidates) -> None:
    column = transferred(many, Counts([MANY]), [hill(covered(FEW))])[:, 0]
    assert np.corrcoef(column, hill(many).means)[0, 1] > 0.9


def test_weightings_that_the_guards_refuse_say_nothing(many: Candidates) -> None:
    steep = Expected((Weighting(), Weighting(exponent=8.0)), (1.0, 5.0))
    column = transferred(many, Counts([MANY]), [steep])[:, 0]
    assert column.tolist() == [1.0, *[0.0] * (len(many) - 1)]


def test_what_is_kept_is_the_stated_part_before_any_result(many: Candidates) -> None:
    told = transferred(many, Counts([MANY]), [hill(many)] * 2)
    model = SharesModel(many, ModelPrior(noise=NOISE), told)
    kept = model.kept(model.posterior(Results.of([])))
    assert [mean for mean, _, _ in kept] == pytest.approx([KEPT / 2] * 2)
    assert all(low < 0 < KEPT < high for _, low, high in kept)
    assert model.best_expected == int(told[:, 0].argmax())


@pytest.mark.parametrize("sign", (1.0, -1.0))
def test_results_keep_a_prior_that_holds_and_take_back_one_that_misleads(
    many: Candidates, sign: float
) -> None:
    told = transferred(many, Counts([MANY]), [hill(many)])
    random = np.random.default_rng(3)
    tried = [int(c) for c in random.choice(len(many), 24, replace=False)]
    results = Results.of(
        [
            (c, i, 50 + NOISE.sd * (2 * sign * told[c, 0] + random.standard_normal()))
            for i, c in enumerate(tried)
        ]
    )
    model = SharesModel(many, ModelPrior(noise=NOISE), told)
    posterior = model.posterior(results)
    [(mean, low, high)] = model.kept(posterior)
    assert low < mean < high
    assert mean > KEPT if sign > 0 else mean < 0
    assert np.corrcoef(posterior.mean, sign * told[:, 0])[0, 1] > 0.9
