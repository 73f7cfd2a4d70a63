"""Triton kernels normalise by a batch's statistics, forwards and backwards.

Moments and sums are those of ``trainer.kernels.convolution``.
"""

import triton
import triton.language as tl

from trainer.kernels.convolution import add_sums, rectify


@triton.jit
def batch_moments(
    sums,
    scale_of,
    shift_of,
    running_mean,
    running_variance,
    moments,
    pixels,
    momentum,
    epsilon,
    BLOCK: tl.constexpr,  # pixels of a block
    CHANNELS: tl.constexpr,
    ROWS: tl.constexpr,  # blocks, or more
    PART: tl.constexpr,  # channels of a program
):
    """Merge the blocks' means and squares (Chan et al. 1979), and follow the running ones."""
    channel = tl.program_id(0) * PART + tl.arange(0, PART)
    blocks = (pixels + BLOCK - 1) // BLOCK
    row = tl.arange(0, ROWS)
    there = (row < blocks)[:, None]
    places = row[:, None] * 2 * CHANNELS + channel[None, :]
    first = tl.load(sums + places, mask=there, other=0.0)
    second = tl.load(sums + places + CHANNELS, mask=there, other=0.0)
    mean = tl.sum(first, 0) / pixels
    count = tl.minimum(pixels - row * BLOCK, BLOCK).to(tl.float32)[:, None]
    apart = tl.where(there, first / count - mean[None, :], 0.0)
    squares = tl.sum(second + apart * apart * tl.where(there, count, 0.0), 0)
    variance = squares / pixels
    inverse = 1.0 / tl.sqrt(variance + epsilon)
    scale = tl.load(scale_of + channel) * inverse
    tl.store(moments + channel, mean)
    tl.store(moments + CHANNELS + channel, inverse)
    tl.store(moments + 2 * CHANNELS + channel, scale)
    tl.store(moments + 3 * CHANNELS + channel, tl.load(shift_of + channel) - mean * scale)
    old = tl.load(running_mean + channel)
    tl.store(running_mean + channel, old + momentum * (mean - old))
    old = tl.load(running_variance + channel)
    unbiased = squares / (pixels - 1)
    tl.store(running_variance + channel, old + momentum * (unbiased - old))


@triton.jit
def gradient_moments(
    sums,
    moments,
    slopes,
    scale_gradient,
    shift_gradient,
    blocks,
    pixels,
    CHANNELS: tl.constexpr,
    ROWS: tl.constexpr,
    PART: tl.constexpr,
):
    """Return the gradients of scale and shift, and ``slopes``, float32 (3, C).

    The gradient to the norm's input x is ``slopes[0] * gradient + slopes[1] * x + slopes[2]``.
    """
    channel = tl.program_id(0) * PART + tl.arange(0, PART)
    row = tl.arange(0, ROWS)
    there = (row < blocks)[:, None]
    places = row[:, None] * 2 * CHANNELS + channel[None, :]
    shift = tl.sum(tl.load(sums + places, mask=there, other=0.0), 0)
    scale = tl.sum(tl.load(sums + places + CHANNELS, mask=there, other=0.0), 0)
    mean = tl.load(moments + channel)
    inverse = tl.load(moments + CHANNELS + channel)
    factor = tl.load(moments + 2 * CHANNELS + channel)
    tl.store(shift_gradient + channel, shift)
    tl.store(scale_gradient + channel, scale)
    tl.store(slopes + channel, factor)
    by_value = -factor * inverse * scale / pixels
    tl.store(slopes + CHANNELS + channel, by_value)
    tl.store(slopes + 2 * CHANNELS + channel, -factor * shift / pixels - by_value * mean)


@triton.jit
def norm_gradient(
    gradient, raw, slopes, target, numbers, CHANNELS: tl.constexpr, BLOCK: tl.constexpr
):
    """Return the gradient to a batch norm's input."""
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    there = place < numbers
    channel = place % CHANNELS
    values = tl.load(gradient + place, mask=there).to(tl.float32) * tl.load(slopes + channel)
    values += tl.load(raw + place, mask=there).to(tl.float32) * tl.load(slopes + CHANNELS + channel)
    values += tl.load(slopes + 2 * CHANNELS + channel)
    tl.store(target + place, values.to(target.dtype.element_ty), mask=there)


@triton.jit
def activate(
    raw,
    moments,
    other,
    target,
    numbers,
    HEIGHT: tl.constexpr,
    WIDTH: tl.constexpr,
    CHANNELS: tl.constexpr,
    OTHER_CHANNELS: tl.constexpr,  # of the shortcut; 0 without one
    OTHER_STRIDE: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Normalise, add the shortcut and rectify."""
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    there = place < numbers
    channel = place % CHANNELS
    values = tl.load(raw + place, mask=there).to(tl.float32)
    values *= tl.load(moments + 2 * CHANNELS + channel)
    values += tl.load(moments + 3 * CHANNELS + channel)
    if OTHER_CHANNELS == CHANNELS:
        values += tl.load(other + place, mask=there).to(tl.float32)
    elif OTHER_CHANNELS > 0:
        pixel = place // CHANNELS
        row, column = pixel // WIDTH % HEIGHT, pixel % WIDTH
        start = pixel // (HEIGHT * WIDTH) * HEIGHT * OTHER_STRIDE + row * OTHER_STRIDE
        start = start * WIDTH * OTHER_STRIDE + column * OTHER_STRIDE
        from_channel = channel - (CHANNELS - OTHER_CHANNELS) // 2
        present = there & (from_channel >= 0) & (from_channel < OTHER_CHANNELS)
        places = start * OTHER_CHANNELS + from_channel
        values += tl.load(other + places, mask=present, other=0.0).to(tl.float32)
    values = rectify(values)
    tl.store(target + place, values.to(target.dtype.element_ty), mask=there)


@triton.jit
def last_gradient(
    gradient,
    raw,
    activation,
    moments,
    target,
    sums,
    pixels,
    AREA: tl.constexpr,  # pixels of an image
    CHANNELS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Return the gradient behind the last rectifier from that of the images' means (N, C)."""
    block = tl.program_id(0)
    place = block * BLOCK + tl.arange(0, BLOCK)
    channel = tl.arange(0, CHANNELS)
    inside = (place < pixels)[:, None]
    places = place[:, None] * CHANNELS + channel[None, :]
    of_image = (place // AREA)[:, None] * CHANNELS + channel[None, :]
    values = tl.load(gradient + of_image, mask=inside, other=0.0).to(tl.float32) / AREA
    active = tl.load(activation + places, mask=inside, other=0.0) > 0
    rounded = tl.where(active, values, 0.0).to(target.dtype.element_ty)
    tl.store(target + places, rounded, mask=inside)
    values = rounded.to(tl.float32)
    mean = tl.load(moments + channel)[None, :]
    inverse = tl.load(moments + CHANNELS + channel)[None, :]
    apart = (tl.load(raw + places, mask=inside, other=0.0).to(tl.float32) - mean) * inverse
    add_sums(sums, block, tl.sum(values, 0), tl.sum(values * apart, 0), CHANNELS)
