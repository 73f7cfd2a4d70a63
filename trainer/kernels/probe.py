"""Probe of a GPU: whether kernels in Triton can be made and run there."""

import functools
import logging

import torch

log = logging.getLogger(__name__)


@functools.cache
def kernels_run(device: torch.device) -> bool:
    """Return whether a kernel of our own runs on a GPU; if not, say why, once.

    It needs Triton, which comes with torch's CUDA builds, and for its launcher a C compiler with
    Python's headers. Without them torch's operators do the same, more slowly.
    """
    try:
        from trainer.kernels.normalisation import norm_gradient

        numbers = torch.ones(16, device=device)
        slopes = torch.ones(3, 16, device=device)
        norm_gradient[(1,)](numbers, numbers, slopes, numbers, 16, CHANNELS=16, BLOCK=16)
        if numbers.tolist() != [3.0] * 16:
            raise ArithmeticError("a kernel's numbers are wrong")
        return True
    except Exception as error:  # of Triton, a compiler, a linker, a driver: many kinds
        reason = " ".join(str(error).split())[:200]
        log.warning(
            "Triton's kernels do not run on %s (%s: %s); torch's operators are used, which are "
            "slower.",
            device,
            type(error).__name__,
            reason,
        )
        return False
