"""The CIFAR ResNets run forwards and backwards by Triton kernels, in place of torch's operators.

A layer's convolution leaves its raw output and the sums that its batch norm needs; then the norm,
a shortcut and the rectifier are one pass. Weights, statistics and gradients of weights are
float32, activations of the images' type; products are of that type, and their sums float32.
"""

from dataclasses import dataclass
from typing import Any

import torch
import triton
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from trainer.kernels.convolution import (
    add_parts,
    convolve,
    convolve_tested,
    input_gradient,
    weight_gradient,
)
from trainer.kernels.normalisation import (
    activate,
    batch_moments,
    gradient_moments,
    last_gradient,
    norm_gradient,
)

LEAST = 16
"""Of a matrix product's sides."""
ELEMENTS = 2048
"""Of a program that works number by number."""
CHANNELS = 4
"""Of a program that adds up sums."""
STAGES = 4
PIXELS = 64
"""Of a program's step, where weights' gradients are summed."""


@dataclass(frozen=True)
class Layer:
    """A 3x3 convolution and its batch norm.

    Attributes:
        height, width: of its input; both can be divided by ``stride``.
        weight: of the convolution, (out, in, 3, 3) channels_last, in the type of activations.
    """

    convolution: nn.Conv2d
    norm: nn.BatchNorm2d
    height: int
    width: int
    weight: Tensor

    @property
    def stride(self) -> int:
        return self.convolution.stride[0]

    @property
    def channels(self) -> int:
        return self.convolution.in_channels

    @property
    def out_channels(self) -> int:
        return self.convolution.out_channels

    @property
    def sizes(self) -> dict[str, int]:
        """The sizes that its kernels take."""
        return {
            "HEIGHT": self.height,
            "WIDTH": self.width,
            "CHANNELS": self.channels,
            "OUT_CHANNELS": self.out_channels,
            "STRIDE": self.stride,
        }

    def empty(self, source: Tensor) -> Tensor:
        """Return room for its output from ``source``."""
        size = (self.height // self.stride, self.width // self.stride, self.out_channels)
        return source.new_empty((len(source), *size))


@dataclass(frozen=True)
class Raw:
    """A layer's raw output for a batch, (N, H, W, C), and the moments of its norm."""

    output: Tensor
    moments: Tensor


@dataclass(frozen=True)
class Slope:
    """A gradient behind a norm's rectifier, (N, H, W, C), and its blocks' sums for the norm."""

    values: Tensor
    sums: Tensor


def power(number: int) -> int:
    """Return the least power of 2 that is not less, and that a matrix product can have."""
    return max(LEAST, int(triton.next_power_of_2(number)))


def block_of(channels: int) -> int:
    """Return how many pixels a program makes from so many channels."""
    return 4096 // power(channels)


def pixels_of(tensor: Tensor) -> int:
    return tensor.numel() // tensor.shape[-1]


def products(tensor: Tensor) -> str:
    """Return how numbers of the tensor's type are multiplied."""
    return "tf32" if tensor.dtype == torch.float32 and tensor.is_cuda else "ieee"


def shortcut_sizes(other: Tensor | None, height: int) -> dict[str, int]:
    if other is None:
        return {"OTHER_CHANNELS": 0, "OTHER_STRIDE": 1}
    return {"OTHER_CHANNELS": other.shape[3], "OTHER_STRIDE": other.shape[1] // height}


def raw(layer: Layer, source: Tensor) -> Raw:
    """Return the layer's raw output, and let its norm's running statistics follow the batch."""
    target = layer.empty(source)
    pixels, block = pixels_of(target), block_of(layer.channels)
    blocks, channels = triton.cdiv(pixels, block), layer.out_channels
    sums = torch.empty((blocks, 2, channels), device=source.device)
    convolve[(blocks,)](
        source, layer.weight, target, sums, pixels, **layer.sizes,
        LINES=power(layer.channels), BLOCK=block, STAGES=STAGES, PRECISION=products(source),
    )  # fmt: skip
    norm, moments = layer.norm, torch.empty((4, channels), device=source.device)
    momentum = norm.momentum if norm.track_running_stats else 0.0
    batch_moments[(channels // CHANNELS,)](
        sums, norm.weight, norm.bias, norm.running_mean, norm.running_var, moments,
        pixels, momentum, norm.eps,
        BLOCK=block, CHANNELS=channels, ROWS=power(blocks), PART=CHANNELS,
    )  # fmt: skip
    return Raw(target, moments)


def activated(made: Raw, other: Tensor | None = None) -> Tensor:
    """Return the normalised and rectified output, between which a shortcut may be added."""
    target = torch.empty_like(made.output)
    _, height, width, channels = target.shape
    activate[(triton.cdiv(target.numel(), ELEMENTS),)](
        made.output, made.moments, other, target, target.numel(),
        HEIGHT=height, WIDTH=width, CHANNELS=channels, **shortcut_sizes(other, height),
        BLOCK=ELEMENTS,
    )  # fmt: skip
    return target


def evaluated(layer: Layer, source: Tensor, other: Tensor | None = None) -> Tensor:
    """Return the layer's activated output in a test, with a shortcut from ``other`` if given."""
    target, norm = layer.empty(source), layer.norm
    pixels, block = pixels_of(target), block_of(layer.channels)
    convolve_tested[(triton.cdiv(pixels, block),)](
        source, layer.weight, norm.weight, norm.bias, norm.running_mean, norm.running_var,
        other, target, pixels, norm.eps, **layer.sizes,
        LINES=power(layer.channels), **shortcut_sizes(other, target.shape[1]),
        BLOCK=block, STAGES=STAGES, PRECISION=products(source),
    )  # fmt: skip
    return target


def from_means(gradient: Tensor, made: Raw, activation: Tensor) -> Slope:
    """Return the gradient behind the last rectifier from that of the means, float32 (N, C)."""
    _, height, width, channels = activation.shape
    pixels, block = pixels_of(activation), block_of(channels)
    blocks = triton.cdiv(pixels, block)
    target = torch.empty_like(activation)
    sums = torch.empty((blocks, 2, channels), device=gradient.device)
    last_gradient[(blocks,)](
        gradient, made.output, activation, made.moments, target, sums, pixels,
        AREA=height * width, CHANNELS=channels, BLOCK=block,
    )  # fmt: skip
    return Slope(target, sums)


def through_norm(made: Raw, slope: Slope) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients to the norm's input, its scale and its shift."""
    target, channels = torch.empty_like(made.output), made.output.shape[3]
    found = torch.empty((5, channels), device=target.device)
    scale, shift, slopes = found[0], found[1], found[2:]
    gradient_moments[(channels // CHANNELS,)](
        slope.sums, made.moments, slopes, scale, shift, len(slope.sums), pixels_of(target),
        CHANNELS=channels, ROWS=power(len(slope.sums)), PART=CHANNELS,
    )  # fmt: skip
    norm_gradient[(triton.cdiv(target.numel(), ELEMENTS),)](
        slope.values, made.output, slopes, target, target.numel(),
        CHANNELS=channels, BLOCK=ELEMENTS,
    )  # fmt: skip
    return target, scale, shift


def to_input(
    layer: Layer, gradient: Tensor, before: Raw, activation: Tensor, shortcut: Tensor | None = None
) -> Slope:
    """Return the gradient behind the rectifier before the layer, whose norm was of ``before``.

    Args:
        activation: the layer's input.
        shortcut: gradient to the other end of a shortcut that begins there.
    """
    target = torch.empty_like(activation)
    pixels, block = pixels_of(target), block_of(layer.out_channels)
    blocks = triton.cdiv(pixels, block)
    sums = torch.empty((blocks, 2, layer.channels), device=gradient.device)
    input_gradient[(blocks,)](
        gradient, layer.weight, before.output, activation, before.moments, shortcut,
        target, sums, pixels, **layer.sizes,
        SHORTCUT_CHANNELS=0 if shortcut is None else shortcut.shape[3],
        BLOCK=block, STAGES=STAGES, PRECISION=products(gradient),
    )  # fmt: skip
    return Slope(target, sums)


def to_weight(layer: Layer, source: Tensor, gradient: Tensor) -> Tensor:
    """Return the gradient to the layer's weight, float32 (out, in, 3, 3), channels_last."""
    channels, pixels = layer.channels, pixels_of(gradient)
    taps = 3 if channels <= 32 else 1
    steps = triton.cdiv(pixels, PIXELS * (2048 // power(channels)))
    parts = triton.cdiv(pixels, PIXELS * steps)
    size = (layer.out_channels, 3, 3, channels)
    made, found = (torch.empty(s, device=source.device) for s in ((parts, *size), size))
    weight_gradient[(parts, 9 // taps)](
        source, gradient, made, pixels, **layer.sizes,
        TAPS=taps, LINES=power(taps * channels), BLOCK=PIXELS, STEPS=steps,
        PRECISION=products(source), num_stages=3 if taps == 3 else 4,
    )  # fmt: skip
    columns = max(16, 4096 // power(parts))
    add_parts[(triton.cdiv(found.numel(), columns),)](
        made, found, found.numel(), PARTS=parts, ROWS=power(parts), BLOCK=columns
    )
    return found.permute(0, 3, 1, 2)


@dataclass(frozen=True)
class Layers:
    """The layers of a network: the first, and two for each block."""

    first: Layer
    blocks: tuple[tuple[Layer, Layer], ...]

    @classmethod
    def of(cls, network: Any, height: int, width: int, kind: torch.dtype) -> "Layers":
        """Return the layers for images of a size, with weights as they are now."""
        convolutions = [network.conv]
        convolutions += [c for block in network.blocks for c in (block.conv1, block.conv2)]
        stored = [convolution.weight.detach() for convolution in convolutions]
        weights = [torch.empty_like(weight, dtype=kind) for weight in stored]
        torch._foreach_copy_(weights, stored)
        found = iter(zip(convolutions, weights, strict=True))

        def layer(norm: nn.BatchNorm2d) -> Layer:
            nonlocal height, width
            convolution, weight = next(found)
            made = Layer(convolution, norm, height, width, weight)
            height, width = height // made.stride, width // made.stride
            return made

        first = layer(network.bn)
        return cls(first, tuple((layer(b.bn1), layer(b.bn2)) for b in network.blocks))

    def parameters(self) -> list[Tensor]:
        """Return each layer's weight, and its norm's scale and shift."""
        layers = [self.first, *(layer for pair in self.blocks for layer in pair)]
        return [
            parameter
            for layer in layers
            for parameter in (layer.convolution.weight, layer.norm.weight, layer.norm.bias)
        ]


class Means(torch.autograd.Function):
    """The means over each image of the last block's output, float32 (N, C), in training."""

    @staticmethod
    def forward(ctx: Any, layers: Layers, images: Tensor, *parameters: Tensor) -> Tensor:
        made = [raw(layers.first, images)]
        inputs = [images, activated(made[0])]  # of each layer
        for one, two in layers.blocks:
            made.append(raw(one, inputs[-1]))
            inputs.append(activated(made[-1]))
            made.append(raw(two, inputs[-1]))
            inputs.append(activated(made[-1], inputs[-2]))
        ctx.layers, ctx.made, ctx.inputs = layers, made, inputs
        return inputs[-1].mean((1, 2), dtype=torch.float32)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Any:
        layers, made, inputs = ctx.layers, ctx.made, ctx.inputs
        found: list[Tensor] = []  # the last layer's first
        slope = from_means(gradient.contiguous(), made[-1], inputs[-1])
        for index in reversed(range(len(layers.blocks))):
            one, two = layers.blocks[index]
            before, first, second = made[2 * index : 2 * index + 3]
            source, between = inputs[2 * index + 1 : 2 * index + 3]
            end = slope.values
            inner, scale, shift = through_norm(second, slope)
            found += [shift, scale, to_weight(two, between, inner)]
            slope = to_input(two, inner, first, between)
            inner, scale, shift = through_norm(first, slope)
            found += [shift, scale, to_weight(one, source, inner)]
            slope = to_input(one, inner, before, source, end)
        inner, scale, shift = through_norm(made[0], slope)
        found += [shift, scale, to_weight(layers.first, inputs[0], inner)]
        return None, None, *reversed(found)


def features(network: Any, images: Tensor) -> Tensor:
    """Return the features, float32 (N, C), of images (N, channels, H, W), in their type."""
    pixels = images.permute(0, 2, 3, 1).contiguous()
    _, height, width, _ = pixels.shape
    layers = Layers.of(network, height, width, pixels.dtype)
    if network.training:
        means: Tensor = Means.apply(layers, pixels, *layers.parameters())
        return means
    output = evaluated(layers.first, pixels)
    for one, two in layers.blocks:
        output = evaluated(two, evaluated(one, output), output)
    return output.mean((1, 2), dtype=torch.float32)
