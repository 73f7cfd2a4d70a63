"""A queue runs the work of a slot: at once on the CPU, or on a CUDA stream, perhaps as graphs."""

import contextlib
import gc
import logging
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import torch

from spaces.errors import UserError

P = ParamSpec("P")
R = TypeVar("R")
Step = Callable[[], None]
WARM_UP_STEPS = 3
"""Before a capture: lets libraries set themselves up, which they must not do inside one."""
COMPILED_SIZES = 256
"""Of a function, at most. Beyond torch's 8 the sizes of a fifth benchmark would not be compiled."""
capturing = True
"""Until a capture fails: it may leave the allocator and the stream of this process in disorder."""

log = logging.getLogger(__name__)


class Queue:
    """An in-order queue of a device's work, with marks that can be waited for.

    On a CUDA device it is a stream of its own. On the CPU work is done when the call returns, and
    no marks are needed.

    Attributes:
        marks: those that are not known to be reached, the oldest first.
        answers: number of marks that were reached.
    """

    def __init__(self, device: torch.device) -> None:
        self.stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self.marks: deque[torch.cuda.Event] = deque()
        self.answers = 0

    def here(self) -> AbstractContextManager[object]:
        """Return a context in which CUDA work is queued here."""
        return torch.cuda.stream(self.stream) if self.stream else contextlib.nullcontext()

    def mark(self) -> None:
        """Leave a mark behind the work that was queued until now."""
        if self.stream:
            event = torch.cuda.Event()
            event.record(self.stream)
            self.marks.append(event)
            self.reached()

    def reached(self) -> bool:
        """Return whether all work before the last mark is done, without waiting."""
        while self.marks and self.marks[0].query():
            self.marks.popleft()
            self.answers += 1
        return not self.marks

    def wait(self) -> None:
        """Wait until all work before the last mark is done."""
        if self.marks:
            self.marks[-1].synchronize()
            self.reached()


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Return the function through ``torch.compile``, one shape at a time.

    Where ``trainer.runtime.configure`` asked for reproducible numbers, Inductor chooses its
    kernels without timing them.

    Raises, when it is called:
        UserError: it cannot be compiled here.
    """
    torch._dynamo.config.recompile_limit = COMPILED_SIZES
    deterministic = torch.backends.cudnn.deterministic
    code = torch.compile(function, dynamic=False, options={"deterministic": deterministic})

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return code(*args, **kwargs)
        except torch._dynamo.exc.BackendCompilerFailed as error:
            reason = str(error.inner_exception).partition("\n")[0]
            raise UserError(
                f"torch.compile fails here ({reason}); install what it names, "
                "or go without --compile."
            ) from error

    return call


def captured(steps: dict[str, Step], queue: Queue, rewind: Step) -> dict[str, Step]:
    """Return the steps as replays of CUDA graphs captured on the queue's stream.

    Each step is run a few times and then captured; ``rewind`` makes it repeatable. The graphs
    share one memory pool, because a slot never runs two of them at a time; they must leave
    nothing in it that a later step reads. Where capturing fails, the steps are returned as they
    are, with a warning, and so are all later ones in this process: the numbers are the same, only
    slower.
    """
    global capturing
    pool = torch.cuda.graph_pool_handle()
    replays = {}
    for name, step in steps.items():
        warm_up(step, queue, rewind)
        if capturing:
            try:
                replays[name] = capture(step, pool, queue)
            except torch.OutOfMemoryError:
                raise
            except RuntimeError as error:
                capturing = False
                log.warning(
                    "CUDA graphs cannot be captured (%s); steps run one kernel at a time.", error
                )
    return replays if capturing else steps


def capture(step: Step, pool: Any, queue: Queue) -> Step:
    graph = torch.cuda.CUDAGraph()
    # The outer context is the queue's too: a capture that fails does not leave the inner one.
    with queue.here(), uncollected(), torch.cuda.graph(graph, pool=pool, stream=queue.stream):
        step()
    return graph.replay


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Let Python collect no garbage: to destroy a former slot's graph would end a capture."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def warm_up(step: Step, queue: Queue, rewind: Step) -> None:
    with queue.here():
        for _ in range(WARM_UP_STEPS):
            rewind()
            step()
        rewind()
    queue.mark()
    queue.wait()
