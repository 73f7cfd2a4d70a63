"""Learning-rate schedules give the rate of each epoch of a training."""

from collections.abc import Callable


def cosine(rate: float, epochs: int) -> list[float]:
    """Return rates that fall from ``rate`` to 0, made by torch's own cosine annealing."""
    import torch  # here, because a list of benchmarks needs no torch, which takes seconds
    from torch.optim.lr_scheduler import CosineAnnealingLR

    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=rate)
    scheduler = CosineAnnealingLR(optimizer, T_max=epochs)
    rates = []
    for _ in range(epochs):
        rates.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        scheduler.step()
    return rates


def warmed_up_steps(rate: float, epochs: int) -> list[float]:
    """Return the rates of LDAM-DRW (Cao et al., NeurIPS 2019) and of many who compare with it.

    A linear warm-up through 5 of 200 epochs, then ``rate``, a hundredth of it from epoch 161 on
    and a ten-thousandth from epoch 181 on; other lengths in proportion.
    """
    warm = 5 * epochs // 200

    def factor(epoch: int) -> float:
        if epoch <= warm:
            return epoch / warm
        if 10 * epoch <= 8 * epochs:
            return 1.0
        return 1e-2 if 10 * epoch <= 9 * epochs else 1e-4

    return [rate * factor(epoch) for epoch in range(1, epochs + 1)]


SCHEDULES: dict[str, Callable[[float, int], list[float]]] = {
    "cosine": cosine,
    "warmed_up_steps": warmed_up_steps,
}
"""Schedule -> the learning rates of all epochs, from the first rate and the number of epochs."""
