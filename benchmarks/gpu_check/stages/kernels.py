"""Stage that lists the kernels of a training step and what each costs."""

from collections.abc import Callable

from torch.profiler import ProfilerActivity, profile

from benchmarks.gpu_check.context import Context
from trainer.execution.slot import Slot
from trainer.execution.task import Task

IMAGES, TEST_IMAGES = 1119, 1000
"""Enough for every size of a batch."""
WARM_UPS, REPETITIONS = 3, 3
COSTLIEST = 30
NAME_LENGTH = 110

KernelCost = tuple[float, float, str]
"""Microseconds and calls of a step, and the kernel's name."""


def run(context: Context) -> None:
    """Profile the training step and the test step of the greatest batch, without graphs."""
    benchmark, data = context.images(IMAGES, TEST_IMAGES)
    task = Task(data, benchmark.padding, context.device)
    slot = Slot(context.trial(benchmark), task, graphs=False)
    with slot.queue.here():
        slot.enter(slot.like)
        for phase in ("train", "test"):
            name = next(name for name in slot.steps if name.startswith(phase))
            costs = profiled(context, slot, slot.steps[name])
            context.results.put(
                step=name,
                kernels=round(sum(times for _, times, _ in costs)),
                microseconds=round(sum(cost for cost, _, _ in costs)),
                costliest=costs[:COSTLIEST],
            )


def profiled(context: Context, slot: Slot, step: Callable[[], None]) -> list[KernelCost]:
    """Return the costs of a step's kernels, the costliest first."""
    activities = [ProfilerActivity.CPU]
    if context.device.type == "cuda":
        activities.append(ProfilerActivity.CUDA)
    repeat(slot, step, WARM_UPS)
    context.synchronize()
    with profile(activities=activities) as found:
        repeat(slot, step, REPETITIONS)
        context.synchronize()
    costs = []
    for event in found.key_averages():
        on_gpu = context.device.type == "cuda"
        own = event.self_device_time_total if on_gpu else event.self_cpu_time_total
        if own and (not on_gpu or event.device_type.name == "CUDA"):
            cost, times = own / REPETITIONS, event.count / REPETITIONS
            costs.append((round(cost, 1), round(times, 1), event.key[:NAME_LENGTH]))
    return sorted(costs, reverse=True)


def repeat(slot: Slot, step: Callable[[], None], times: int) -> None:
    for _ in range(times):
        slot.rewind()
        step()
