"""Triton kernels convolve 3x3 with padding 1, and do on the way what stands after it.

Activations are stored pixel by pixel (N, H, W, C). Weights are stored as torch's channels_last,
(out, 3, 3, in). A program makes ``BLOCK`` pixels of the output with all their channels. Nothing
but ``BLOCK`` decides in which order numbers are added up, so they are the same in every run.

The moments of a batch norm are float32 (4, C): mean, 1 / standard deviation, scale and shift, so
that its output is ``x * scale + shift``. The sums of a batch norm are float32 (blocks, 2, C).
"""

import triton
import triton.language as tl


@triton.jit
def correlate(
    source,
    weight,
    first_row,
    first_column,
    image,
    HEIGHT: tl.constexpr,
    WIDTH: tl.constexpr,
    CHANNELS: tl.constexpr,
    LINES: tl.constexpr,
    OUT_CHANNELS: tl.constexpr,
    BACKWARDS: tl.constexpr,
    STAGES: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Return a block of the correlation, float32 (BLOCK, OUT_CHANNELS).

    Args:
        first_row, first_column: of the source, for each pixel of the block, (BLOCK,).
        CHANNELS, LINES: of the source, and as many as a matrix product needs, at least 16.
        BACKWARDS: the weights' input and output are exchanged, and they are read backwards.
        STAGES: of the pixels that are read ahead.
    """
    channel = tl.arange(0, LINES)
    out = tl.arange(0, OUT_CHANNELS)
    known = channel < CHANNELS
    start = ((image * HEIGHT + first_row) * WIDTH + first_column) * CHANNELS
    places = start[:, None] + channel[None, :]
    if BACKWARDS:
        factors = (channel * 9 * OUT_CHANNELS)[:, None] + out[None, :]
    else:
        factors = channel[:, None] + (out * 9 * CHANNELS)[None, :]
    total = tl.zeros([first_row.shape[0], OUT_CHANNELS], tl.float32)
    for tap in tl.range(0, 9, num_stages=STAGES):
        down, right = tap // 3, tap % 3
        there = (first_row + down).to(tl.uint32) < HEIGHT  # and so not below 0
        there &= (first_column + right).to(tl.uint32) < WIDTH
        present = there[:, None] & known[None, :]
        step = (down * WIDTH + right) * CHANNELS
        values = tl.load(source + places + step, mask=present, other=0.0)
        skipped = (8 - tap) * OUT_CHANNELS if BACKWARDS else tap * CHANNELS
        read = tl.load(weight + factors + skipped, mask=known[:, None], other=0.0)
        total = tl.dot(values, read, total, input_precision=PRECISION)
    return total


@triton.jit
def widen(
    source,
    weight,
    row,
    column,
    image,
    inside,
    HEIGHT: tl.constexpr,
    WIDTH: tl.constexpr,
    CHANNELS: tl.constexpr,
    OUT_CHANNELS: tl.constexpr,
    STAGES: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Return a block of the gradient to the input of a convolution of stride 2.

    Args:
        row, column: of the input, for each pixel of the block, (BLOCK,).
    """
    channel = tl.arange(0, CHANNELS)
    factors = (channel * 9 * OUT_CHANNELS)[:, None] + tl.arange(0, OUT_CHANNELS)[None, :]
    total = tl.zeros([row.shape[0], OUT_CHANNELS], tl.float32)
    for tap in tl.range(0, 9, num_stages=STAGES):
        down, right = row + 1 - tap // 3, column + 1 - tap % 3
        there = inside & (down % 2 == 0) & (right % 2 == 0)
        there &= ((down // 2).to(tl.uint32) < HEIGHT) & ((right // 2).to(tl.uint32) < WIDTH)
        start = ((image * HEIGHT + down // 2) * WIDTH + right // 2) * CHANNELS
        places = start[:, None] + channel[None, :]
        values = tl.load(source + places, mask=there[:, None], other=0.0)
        read = tl.load(weight + factors + tap * OUT_CHANNELS)
        total = tl.dot(values, read, total, input_precision=PRECISION)
    return total


@triton.jit
def add_sums(sums, block, first, second, CHANNELS: tl.constexpr):
    """Keep what a block adds to a batch norm's sums, (C,) each."""
    channel = tl.arange(0, CHANNELS)
    tl.store(sums + block * 2 * CHANNELS + channel, first)
    tl.store(sums + (block * 2 + 1) * CHANNELS + channel, second)


@triton.jit
def rectify(values):
    """Return max(values, 0); of what is no number, that, so that a divergence is seen."""
    return tl.maximum(values, 0.0, propagate_nan=tl.PropagateNan.ALL)


@triton.jit
def convolve(
    source,
    weight,
    target,
    sums,
    pixels,
    HEIGHT: tl.constexpr,
    WIDTH: tl.constexpr,
    CHANNELS: tl.constexpr,
    LINES: tl.constexpr,
    OUT_CHANNELS: tl.constexpr,
    STRIDE: tl.constexpr,
    BLOCK: tl.constexpr,
    STAGES: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Convolve, and keep each block's sum and its squared deviations from its mean."""
    block = tl.program_id(0)
    place = block * BLOCK + tl.arange(0, BLOCK)
    inside = place < pixels
    column = place % (WIDTH // STRIDE) * STRIDE - 1
    row = place // (WIDTH // STRIDE) % (HEIGHT // STRIDE) * STRIDE - 1
    image = place // ((WIDTH // STRIDE) * (HEIGHT // STRIDE))
    row = tl.where(inside, row, HEIGHT)
    total = correlate(
        source, weight, row, column, image,
        HEIGHT, WIDTH, CHANNELS, LINES, OUT_CHANNELS, False, STAGES, PRECISION,
    )  # fmt: skip
    places = place[:, None] * OUT_CHANNELS + tl.arange(0, OUT_CHANNELS)[None, :]
    rounded = total.to(target.dtype.element_ty)
    tl.store(target + places, rounded, mask=inside[:, None])
    total = rounded.to(tl.float32)
    first = tl.sum(total, 0)  # outside it is 0
    mean = first / tl.minimum(pixels - block * BLOCK, BLOCK).to(tl.float32)
    apart = tl.where(inside[:, None], total - mean[None, :], 0.0)
    add_sums(sums, block, first, tl.sum(apart * apart, 0), OUT_CHANNELS)


@triton.jit
def convolve_tested(
    source,
    weight,
    scale_of,
    shift_of,
    running_mean,
    running_variance,
    other,
    target,
    pixels,
    epsilon,
    HEIGHT: tl.constexpr,
    WIDTH: tl.constexpr,
    CHANNELS: tl.constexpr,
    LINES: tl.constexpr,
    OUT_CHANNELS: tl.constexpr,
    STRIDE: tl.constexpr,
    OTHER_CHANNELS: tl.constexpr,
    OTHER_STRIDE: tl.constexpr,
    BLOCK: tl.constexpr,
    STAGES: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Convolve, normalise by the running statistics, add a shortcut if there is one, rectify."""
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = place < pixels
    column = place % (WIDTH // STRIDE)
    row = place // (WIDTH // STRIDE) % (HEIGHT // STRIDE)
    image = place // ((WIDTH // STRIDE) * (HEIGHT // STRIDE))
    first_row = tl.where(inside, row * STRIDE - 1, HEIGHT)
    total = correlate(
        source, weight, first_row, column * STRIDE - 1, image,
        HEIGHT, WIDTH, CHANNELS, LINES, OUT_CHANNELS, False, STAGES, PRECISION,
    )  # fmt: skip
    out = tl.arange(0, OUT_CHANNELS)
    scale = tl.load(scale_of + out) / tl.sqrt(tl.load(running_variance + out) + epsilon)
    shift = tl.load(shift_of + out) - tl.load(running_mean + out) * scale
    total = total * scale[None, :] + shift[None, :]
    if OTHER_CHANNELS > 0:
        start = image * (HEIGHT // STRIDE) * OTHER_STRIDE + row * OTHER_STRIDE
        start = start * (WIDTH // STRIDE) * OTHER_STRIDE + column * OTHER_STRIDE
        channel = out - (OUT_CHANNELS - OTHER_CHANNELS) // 2
        present = inside[:, None] & ((channel >= 0) & (channel < OTHER_CHANNELS))[None, :]
        places = start[:, None] * OTHER_CHANNELS + channel[None, :]
        total += tl.load(other + places, mask=present, other=0.0).to(tl.float32)
    places = place[:, None] * OUT_CHANNELS + out[None, :]
    rectified = rectify(total).to(target.dtype.element_ty)
    tl.store(target + places, rectified, mask=inside[:, None])


@triton.jit
def input_gradient(
    gradient,
    weight,
    raw,
    activation,
    moments,
    shortcut,
    target,
    sums,
    pixels,
    HEIGHT: tl.constexpr,
    WIDTH: tl.constexpr,
    CHANNELS: tl.constexpr,
    OUT_CHANNELS: tl.constexpr,
    STRIDE: tl.constexpr,
    SHORTCUT_CHANNELS: tl.constexpr,
    BLOCK: tl.constexpr,
    STAGES: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Return the gradient behind the rectifier before a convolution, and its norm's sums.

    These are of the gradient, and of its product with the normalised values.

    Args:
        gradient: to the convolution's output, with OUT_CHANNELS.
        raw, moments: input of the norm before the convolution, and the norm's moments.
        activation: the convolution's input, the rectifier's output.
        shortcut: gradient to the shortcut's end, with SHORTCUT_CHANNELS; 0 where there is none.
    """
    block = tl.program_id(0)
    place = block * BLOCK + tl.arange(0, BLOCK)
    inside = place < pixels
    column, row = place % WIDTH, place // WIDTH % HEIGHT
    image = place // (WIDTH * HEIGHT)
    if STRIDE == 1:
        total = correlate(
            gradient, weight, tl.where(inside, row - 1, HEIGHT), column - 1, image,
            HEIGHT, WIDTH, OUT_CHANNELS, OUT_CHANNELS, CHANNELS, True, STAGES, PRECISION,
        )  # fmt: skip
    else:
        total = widen(
            gradient, weight, row, column, image, inside,
            HEIGHT // 2, WIDTH // 2, OUT_CHANNELS, CHANNELS, STAGES, PRECISION,
        )  # fmt: skip
    channel = tl.arange(0, CHANNELS)
    if SHORTCUT_CHANNELS > 0:
        start = image * (HEIGHT // STRIDE) + row // STRIDE
        start = start * (WIDTH // STRIDE) + column // STRIDE
        taken = inside & (row % STRIDE == 0) & (column % STRIDE == 0)
        first = (SHORTCUT_CHANNELS - CHANNELS) // 2
        places = start[:, None] * SHORTCUT_CHANNELS + (first + channel)[None, :]
        total += tl.load(shortcut + places, mask=taken[:, None], other=0.0).to(tl.float32)
    places = place[:, None] * CHANNELS + channel[None, :]
    kept = inside[:, None]
    active = tl.load(activation + places, mask=kept, other=0.0) > 0
    rounded = tl.where(active, total, 0.0).to(target.dtype.element_ty)
    tl.store(target + places, rounded, mask=kept)
    total = rounded.to(tl.float32)
    values = tl.load(raw + places, mask=kept, other=0.0).to(tl.float32)
    values = (values - tl.load(moments + channel)[None, :]) * tl.load(moments + CHANNELS + channel)[
        None, :
    ]
    add_sums(sums, block, tl.sum(total, 0), tl.sum(total * values, 0), CHANNELS)


@triton.jit
def weight_gradient(
    source,
    gradient,
    parts,
    pixels,
    HEIGHT: tl.constexpr,
    WIDTH: tl.constexpr,
    CHANNELS: tl.constexpr,
    OUT_CHANNELS: tl.constexpr,
    STRIDE: tl.constexpr,
    TAPS: tl.constexpr,
    LINES: tl.constexpr,
    BLOCK: tl.constexpr,
    STEPS: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Return the gradient to the weights from each part of the pixels.

    Args:
        source: the convolution's input.
        parts: float32 (parts, OUT_CHANNELS, 9 * CHANNELS).
        TAPS: of the nine, in a program: a row of 3, or 1.
        LINES: TAPS * CHANNELS, or as many as a matrix product needs, a power of 2.
        STEPS: blocks in a part.
    """
    part, group = tl.program_id(0), tl.program_id(1)
    line = tl.arange(0, LINES)
    out = tl.arange(0, OUT_CHANNELS)
    known = line < TAPS * CHANNELS
    down = group * TAPS // 3 - 1
    right = group * TAPS % 3 - 1
    aside = right + line // CHANNELS
    total = tl.zeros([LINES, OUT_CHANNELS], tl.float32)
    for step in range(STEPS):
        place = (part * STEPS + step) * BLOCK + tl.arange(0, BLOCK)
        inside = place < pixels
        column = place % (WIDTH // STRIDE) * STRIDE
        row = place // (WIDTH // STRIDE) % (HEIGHT // STRIDE) * STRIDE
        if STRIDE == 1:
            start = place + down * WIDTH + right
        else:
            image = place // ((WIDTH // STRIDE) * (HEIGHT // STRIDE))
            start = (image * HEIGHT + row + down) * WIDTH + column + right
        there = (inside & ((row + down).to(tl.uint32) < HEIGHT))[:, None] & known[None, :]
        there &= (column[:, None] + aside[None, :]).to(tl.uint32) < WIDTH
        places = (start * CHANNELS)[:, None] + line[None, :]
        values = tl.load(source + places, mask=there, other=0.0)
        places = place[:, None] * OUT_CHANNELS + out[None, :]
        slopes = tl.load(gradient + places, mask=inside[:, None], other=0.0)
        total = tl.dot(tl.trans(values), slopes, total, input_precision=PRECISION)
    start = (part * OUT_CHANNELS + out) * 9 * CHANNELS + group * TAPS * CHANNELS
    tl.store(parts + start[None, :] + line[:, None], total, mask=known[:, None])


@triton.jit
def add_parts(parts, target, numbers, PARTS: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr):
    """Add up parts, float32 (PARTS, numbers)."""
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    row = tl.arange(0, ROWS)
    there = (row < PARTS)[:, None] & (place < numbers)[None, :]
    values = tl.load(parts + row[:, None] * numbers + place[None, :], mask=there, other=0.0)
    tl.store(target + place, tl.sum(values, 0), mask=place < numbers)
