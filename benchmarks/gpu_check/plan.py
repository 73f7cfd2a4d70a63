"""Plan of a check: the stages in their order, and the choice of those that are run."""

from collections.abc import Iterable
from dataclasses import dataclass

from spaces import PUBLISHED_ON
from spaces.errors import UserError, did_you_mean

C100, VGG = "resnet32-cifar100lt", "vgg16bn-cifar100lt"
GRID = (1, 2, 4, 8, 16)
CONTROLS = ("uniform", "sqrt_inverse", "inverse")
STRATEGIES = ("cb_sampling", "two_branch", "ldam_drw", "cmo")
"""To stand beside the controls, in the same precision."""


@dataclass(frozen=True)
class Stage:
    """A process of its own that measures one thing.

    Attributes:
        name: its kind, then what is particular to it, after a hyphen.
        seconds: it is ended after.
        slots: numbers of trials side by side, ascending.
        workers: numbers of loader workers of the plain script.
        variant: a key of ``benchmarks.gpu_check.stages.variants.VARIANTS``.
        strategies, seeds: of the trials that are trained to their end, each with each.
        background: runs beside the stages before the first that is timed.
    """

    name: str
    seconds: float
    benchmark: str = C100
    precision: str = "tf32"
    compiled: bool = False
    slots: tuple[int, ...] = (1,)
    workers: tuple[int, ...] = ()
    variant: str = "none"
    strategies: tuple[str, ...] = CONTROLS
    seeds: tuple[int, ...] = (42,)
    background: bool = False

    @property
    def kind(self) -> str:
        return self.name.partition("-")[0]

    @property
    def timed(self) -> bool:
        """Whether nothing else may use the GPU meanwhile."""
        return self.kind in ("speed", "plain", "profile")

    @property
    def needs_images(self) -> bool:
        """Whether real images are needed; others are made up where only their sizes matter."""
        return self.kind in ("accuracy", "search")


_IN_ORDER = (
    Stage("facts", 40),
    Stage("warm-bf16", 240, precision="bf16", compiled=True, background=True),
    Stage("warm-tf32", 240, compiled=True, background=True),
    Stage("smoke", 260),
    Stage("accuracy-bf16", 180, precision="bf16"),
    Stage("accuracy", 220),
    Stage("accuracy-strategies", 200, precision="bf16", strategies=STRATEGIES),
    Stage("accuracy-ldam", 120, PUBLISHED_ON, "bf16", strategies=("ce", "drw", "ldam_drw")),
    Stage("search", 170, precision="bf16", slots=(8,)),
    Stage("tests", 180),
    Stage("speed-tf32", 60, slots=GRID),
    Stage("speed-vgg-bf16", 60, VGG, "bf16", slots=(1, 2, 4)),
    Stage("speed-bf16", 60, precision="bf16", slots=GRID),
    Stage("speed-bf16-streamed", 45, precision="bf16", slots=(1, 8), variant="streamed"),
    Stage("profile-bf16", 30, precision="bf16"),
    Stage("profile-tf32", 30),
    Stage("plain", 45, workers=(4, 12)),
    Stage("plain-vgg", 45, VGG, workers=(12,)),
    Stage("accuracy-seeds", 260, precision="bf16", strategies=("uniform",), seeds=(43, 44, 45)),
    Stage("speed-bf16-torch", 60, precision="bf16", slots=(1, 8), variant="torch"),
    Stage("speed-tf32-torch", 60, slots=(1, 8), variant="torch"),
    Stage("speed-bf16-compiled", 100, precision="bf16", compiled=True, slots=(1, 8)),
    Stage("speed-tf32-compiled", 100, compiled=True, slots=(1, 8)),
    Stage("speed-vgg-bf16-native-bn", 60, VGG, "bf16", slots=(1, 4), variant="native-bn"),
    Stage("speed-tf32-native-bn", 45, slots=(1, 8), variant="native-bn"),
    Stage("speed-tf32-fast", 45, slots=(1, 8), variant="fast"),
    Stage("speed-tf32-nchw", 45, slots=(1, 8), variant="nchw"),
    Stage("profile-bf16-compiled", 60, precision="bf16", compiled=True),
    Stage("tests-compiled", 540, compiled=True),
)
STAGES: dict[str, Stage] = {stage.name: stage for stage in _IN_ORDER}
"""In order of worth: what comes late is left out when the time is over."""


def chosen(only: str | None) -> list[Stage]:
    """Return the stages that ``only`` names, in its order; all of them if it is None.

    It names stages or kinds, separated by commas. The compiler is warmed up for those that need it,
    beside all but the facts: these say what a device does that nothing else uses.

    Raises:
        UserError: there is no stage or kind of a name.
    """
    wanted = [stage for stage in _IN_ORDER if not stage.background]
    if only is not None:
        named = [stage for name in only.split(",") for stage in of_name(name.strip())]
        wanted = list(dict.fromkeys(named))
    warm = warm_ups(wanted)
    first = [stage for stage in wanted if stage.kind == "facts" and warm]
    return [*first, *warm, *(stage for stage in wanted if stage not in first)]


def of_name(name: str) -> list[Stage]:
    if name in STAGES:
        return [STAGES[name]]
    found = [stage for stage in _IN_ORDER if stage.kind == name]
    if not found:
        known = [*STAGES, *(stage.kind for stage in _IN_ORDER)]
        raise UserError(
            f"--only names {name!r}, and there is no such stage{did_you_mean(name, known)}; "
            f"there are {', '.join(stage.name for stage in _IN_ORDER if not stage.background)}."
        )
    return found


def warm_ups(stages: Iterable[Stage]) -> list[Stage]:
    """Return the background stages that compile for the timed ones."""
    needed = {(s.benchmark, s.precision) for s in stages if s.timed and s.compiled}
    warm = [stage for stage in _IN_ORDER if stage.background and stage not in stages]
    return [stage for stage in warm if (stage.benchmark, stage.precision) in needed]
