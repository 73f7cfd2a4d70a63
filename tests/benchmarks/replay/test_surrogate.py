"""The surrogate says what the table does, and no more than the table can tell."""

import dataclasses

import numpy as np
import pytest
from replaying import EPOCHS, faithful, made_table, misleading, smooth

from benchmarks.replay.surrogate import Replicates, Surrogate, cross_validate
from spaces.errors import UserError


@pytest.mark.parametrize("curve", (faithful, misleading))
def test_it_gives_the_recorded_means_back_where_noise_is_small(curve: object) -> None:
    table = made_table(noise=0.01, curve=curve)  # type: ignore[arg-type]
    replicates = Replicates.of(table)
    surrogate = Surrogate(replicates)
    shares = table.gradient_shares()
    assert surrogate.finals(shares) == pytest.approx(replicates.means[:, -1], abs=0.03)
    assert surrogate.curves(shares) == pytest.approx(replicates.means, abs=0.1)
    assert surrogate.finals(shares) == pytest.approx(smooth(shares), abs=0.03)


def test_the_end_of_a_curve_is_the_final_accuracy() -> None:
    surrogate = Surrogate(Replicates.of(made_table(noise=0.5)))
    shares = made_table().gradient_shares()
    assert surrogate.curves(shares)[:, -1] == pytest.approx(surrogate.finals(shares))


def test_a_table_can_be_taken_to_end_earlier() -> None:
    table = made_table(noise=0.1)
    found = Replicates.of(table, epochs=3)
    assert found.means == pytest.approx(Replicates.of(table).means[:, :3])
    assert found.residuals.shape[1] == 3
    with pytest.raises(UserError, match="the table has 8"):
        Replicates.of(table, epochs=9)


def test_residuals_scatter_as_single_runs_do() -> None:
    replicates = Replicates.of(made_table(noise=0.7, weightings=150))
    assert replicates.noise_sd == pytest.approx(0.7, rel=0.1)
    assert replicates.residuals.shape == (450, EPOCHS)
    random = np.random.default_rng(0)
    surrogate = Surrogate(replicates)
    drawn = [surrogate.residual(random)[-1] for _ in range(50)]
    assert set(drawn) <= set(replicates.residuals[:, -1])


def test_what_a_seed_does_to_all_weightings_is_found() -> None:
    effects = (-0.5, -0.1, 0.6)
    found = Replicates.of(made_table(noise=0.3, seed_effects=effects)).seed_sd
    assert found == pytest.approx(np.std(effects, ddof=1), rel=0.1)
    assert Replicates.of(made_table(noise=0.7)).seed_sd < 0.15


def test_diverged_trials_are_left_out() -> None:
    table = made_table(noise=0.1)
    epochs = table.epochs.copy()
    epochs[0] = 3
    found = Replicates.of(dataclasses.replace(table, epochs=epochs))
    assert found.n[0] == 2
    assert (found.n[1:] == 3).all()


@pytest.mark.parametrize(("weightings", "seeds"), ((5, 3), (60, 1)))
def test_a_table_that_cannot_tell_is_refused(weightings: int, seeds: int) -> None:
    table = made_table(weightings=weightings, seed_effects=(0.0,) * seeds)
    with pytest.raises(UserError, match="Record more"):
        Replicates.of(table)


def test_held_out_weightings_of_a_smooth_truth_are_predicted() -> None:
    check = cross_validate(Replicates.of(made_table(noise=0.3)), seed=0)
    assert check.explained > 0.9
    assert check.ceiling > check.explained - 0.05
    assert check.spearman is not None
    assert check.spearman > 0.9
    assert check.coverage > 0.85


def test_of_a_flat_truth_it_claims_nothing() -> None:
    flat = made_table(noise=0.7, truth=lambda shares: np.full(len(shares), 60.0))
    check = cross_validate(Replicates.of(flat), seed=0)
    assert check.explained < 0.1
    assert check.ceiling < 0.3
    assert check.coverage > 0.9
    assert check.rmse == pytest.approx(check.noise_rmse, rel=0.25)
    assert "explains" in check.sentence()
