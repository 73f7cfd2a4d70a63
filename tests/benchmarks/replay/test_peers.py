"""Other libraries in the replay: what they are told, what they spend, and what they name."""

import importlib.util
import itertools

import pytest
from replaying import EPOCHS, made_table, made_world

from benchmarks.replay.arms import OWN, Arm, Method, chosen
from benchmarks.replay.choosing import Choice
from benchmarks.replay.full_length import peer_search
from benchmarks.replay.full_length.peer_search import Asked, Params, PeerSearch, power
from benchmarks.replay.full_length.peers import PEERS
from benchmarks.replay.run import Setting, repetition
from benchmarks.replay.world import World
from spaces import NAMED, SPACES
from spaces.errors import UserError

SEEDS = (0, 0)


@pytest.fixture(scope="module")
def noisy() -> World:
    return made_world(made_table(noise=0.7))


class Repeated(PeerSearch):
    """A library that runs one weighting again and again, and names the first that it was told."""

    def __init__(self, world: World, trials: int, workers: int, seeds: tuple[int, ...]) -> None:
        super().__init__(world, trials, workers, seeds)
        self.asked_for: list[int] = []
        self.told: list[tuple[Params, int, float]] = []

    def handle(self, params: Params) -> Params:
        return params

    def ask(self, number: int) -> list[Asked]:
        self.asked_for.append(number)
        return [Asked(self.world.controls["inverse"], 7, {"exponent": 1.0})] * number

    def tell(self, trial: Asked, value: float) -> None:
        self.told.append((trial.handle, trial.seed, value))

    def named(self) -> Choice:
        return Choice(self.world.controls["uniform"].truth, self.told[0][2])


def test_a_library_hears_of_the_controls_first_and_of_rounds_that_fill_the_budget(
    noisy: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer_search.time, "process_time", itertools.count().__next__)
    search = Repeated(noisy, 15, 4, SEEDS)
    search.search()
    assert search.asking == 3 + 4, "asked three times, and named a best after each of four rounds"
    assert search.asked_for == [4, 4, 3]
    assert [params["exponent"] for params, _, _ in search.told[:3]] == [0.05, 0.5, 1.0]
    assert len(search.told) == 3 + 11  # one of the four controls is no point of the space
    assert len(search.choices) == 15
    assert search.truths() == [noisy.controls["uniform"].truth] * 16


@pytest.mark.parametrize(
    ("name", "exponent"),
    (("uniform", 0.05), ("sqrt_inverse", 0.5), ("mlsbench_balanced_softmax", None)),
)
def test_controls_are_told_as_powers_within_the_domain(name: str, exponent: float | None) -> None:
    params = power(SPACES["core"], NAMED[name].weighting)
    expected = None if exponent is None else {"exponent": exponent, "bend": "none"}
    assert params == expected


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the libraries
@pytest.mark.parametrize("sampler", PEERS)
def test_a_peer_spends_the_budget_and_repeats_itself(noisy: World, sampler: str) -> None:
    pytest.importorskip(PEERS[sampler].module, reason=PEERS[sampler].remedy)
    arm = Arm(Method(sampler), OWN)
    found, again = (repetition(noisy, [arm], Setting(22, 4, 0), 0)[arm.label] for _ in range(2))
    assert found == again
    assert found.epochs == 22 * EPOCHS
    assert abs(found.bias) < 3


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the libraries
def test_the_written_out_loss_is_that_of_botorch() -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("botorch", reason=PEERS["botorch"].remedy)
    from botorch.models import SingleTaskGP
    from botorch.optim.closures import get_loss_closure_with_grads
    from gpytorch.mlls import ExactMarginalLogLikelihood

    from benchmarks.replay.full_length.botorch_search import loss_of

    points = torch.linspace(0, 1, 24, dtype=torch.float64).reshape(12, 2) ** 2
    model = SingleTaskGP(points, (5 * points[:, :1]).sin())
    likelihood = ExactMarginalLogLikelihood(model.likelihood, model).train()
    loss, gradients = get_loss_closure_with_grads(likelihood, dict(likelihood.named_parameters()))()
    own, own_gradients = loss_of(likelihood)
    assert own == pytest.approx(float(loss))
    for mine, theirs in zip(own_gradients, gradients, strict=True):
        assert mine.flatten().tolist() == pytest.approx(theirs.flatten().tolist())


def test_what_is_not_installed_is_said_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"smac-forest needs smac: pip install -e '.\[smac\]'"):
        chosen("smac*")
    assert not {arm.method.sampler for arm in chosen(None)} & set(PEERS)
    assert capsys.readouterr().out.count("left out") == len(PEERS)
