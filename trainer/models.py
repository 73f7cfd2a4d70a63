"""The registry of networks that can be trained, and how they are initialised.

ResNets are the CIFAR variants of He et al. 2015 (arXiv:1512.03385, section 4.2) with
parameter-free shortcuts (option A); VGG-16-BN is configuration D of Simonyan & Zisserman 2014
(arXiv:1409.1556) with batch normalisation, adaptive average pooling and one linear layer.
ResNet-18 and -50 are those of He et al. 2015, section 4.1, for photos, as torchvision builds them.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

FUSED_PIXELS = 64 * 64
"""Of an image, at most, for kernels of our own: a program of theirs holds the sums of a batch."""
FUSED_BATCH_PIXELS = 256 * FUSED_PIXELS
"""Of a training batch, at most, for them: with four times as many one takes minutes to compile."""


@dataclass(frozen=True)
class Network:
    """A member of ``NETWORKS``.

    Attributes:
        make: (channels, num_classes) -> module from images (B, channels, H, W) to logits
            (B, num_classes).
        min_resolution: side in pixels of the smallest images that it can be trained on, even in a
            batch of one: batch norm needs a last feature map of more than one pixel.
    """

    make: Callable[[int, int], nn.Module]
    min_resolution: int


class BatchNorm2d(nn.BatchNorm2d):
    """Batch norm that ``trainer.runtime.configure`` can make ``native`` in the whole process."""

    native: ClassVar[bool] = False

    def forward(self, x: Tensor) -> Tensor:
        if not self.native:
            return super().forward(x)
        recorded = self.track_running_stats or not self.training
        return torch.batch_norm(
            x,
            self.weight,
            self.bias,
            self.running_mean if recorded else None,
            self.running_var if recorded else None,
            self.training,
            self.momentum or 0.0,
            self.eps,
            False,  # not through cuDNN
        )


VGG16_STAGES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


def conv3x3(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and an identity shortcut, zero-padded where the width grows."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = conv3x3(inputs, outputs, stride)
        self.bn1 = BatchNorm2d(outputs)
        self.conv2 = conv3x3(outputs, outputs)
        self.bn2 = BatchNorm2d(outputs)
        self.stride = stride
        self.missing = outputs - inputs

    def shortcut(self, x: Tensor) -> Tensor:
        if self.stride != 1:
            x = x[:, :, :: self.stride, :: self.stride]
        if self.missing:
            before = self.missing // 2
            x = functional.pad(x, (0, 0, 0, 0, before, self.missing - before))
        return x

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return functional.relu(y + self.shortcut(x))


class ResNet(nn.Module):
    """The CIFAR ResNet of depth 6n+2 with n = ``blocks`` basic blocks in each of three stages.

    On GPUs, ``trainer.runtime.configure`` can let ``fused`` kernels train and test it.
    """

    fused: ClassVar[bool] = False

    def __init__(self, blocks: int, channels: int, num_classes: int) -> None:
        super().__init__()
        self.conv = conv3x3(channels, 16)
        self.bn = BatchNorm2d(16)
        stages = []
        for inputs, outputs, stride in ((16, 16, 1), (16, 32, 2), (32, 64, 2)):
            stages.append(BasicBlock(inputs, outputs, stride))
            stages.extend(BasicBlock(outputs, outputs, 1) for _ in range(blocks - 1))
        self.blocks = nn.Sequential(*stages)
        self.linear = nn.Linear(64, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        fits = not self.training or x[:, 0].numel() <= FUSED_BATCH_PIXELS  # a test needs no sums
        if fits and products_are_short() and self.fuses(x.device, *x.shape[2:]):
            y = self.fused_features(x)
        else:
            y = functional.relu(self.bn(self.conv(x)))
            y = self.blocks(y).mean(dim=(2, 3))
        logits: Tensor = self.linear(y)
        return logits

    def fuses(self, device: torch.device, height: int, width: int) -> bool:
        """Return whether kernels of our own can be used for images of a size on a device."""
        if not self.fused or device.type != "cuda" or height % 4 or width % 4:
            return False
        if height * width > FUSED_PIXELS:
            return False
        if not torch.cuda.is_available() or torch.cuda.get_device_capability(device) < (8, 0):
            return False
        from trainer.kernels.probe import kernels_run

        return kernels_run(device)

    def fused_features(self, x: Tensor) -> Tensor:
        from trainer.kernels.resnet import features  # needs Triton

        if torch.is_autocast_enabled("cuda"):
            x = x.to(torch.get_autocast_dtype("cuda"))
        return features(self, x)


def products_are_short() -> bool:
    """Return whether convolutions on GPUs may round what they multiply, and are not compiled."""
    if torch.compiler.is_compiling():
        return False
    return torch.is_autocast_enabled("cuda") or torch.backends.cudnn.allow_tf32


class VGG16BN(nn.Module):
    """Thirteen 3x3 convolutions with batch norm, pooled to 1x1, and one linear layer."""

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for stage in VGG16_STAGES:
            for width in stage:
                layers += [conv3x3(channels, width), BatchNorm2d(width), nn.ReLU(inplace=True)]
                channels = width
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.linear = nn.Linear(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.linear(self.pool(self.features(x)).flatten(1))
        return logits


def photo_resnet(name: str, channels: int, num_classes: int) -> nn.Module:
    """Return a ResNet for photos of torchvision's, of the depth in its ``name``."""
    from torchvision.models import get_model  # it takes a second to import

    network: nn.Module = get_model(
        name, weights=None, norm_layer=BatchNorm2d, num_classes=num_classes
    )
    if channels != 3:
        network.conv1 = nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False)
    return network


def initialise(network: nn.Module, seed: int) -> None:
    """Kaiming-normal initialisation (He et al. 2015, arXiv:1502.01852) from a generator of its own.

    Convolutions use fan-out, the linear layer fan-in with gain 1 and zero bias; batch norm starts
    as the identity. Drawn on the CPU, so a seed gives the same network on every device.
    """
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            fan_out = module.out_channels * math.prod(module.kernel_size)
            module.weight.data.normal_(0.0, math.sqrt(2.0 / fan_out), generator=generator)
        elif isinstance(module, nn.Linear):
            scale = 1.0 / math.sqrt(module.in_features)
            module.weight.data.normal_(0.0, scale, generator=generator)
            module.bias.data.zero_()
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()


def build(name: str, channels: int, num_classes: int, seed: int) -> nn.Module:
    """Return network ``name`` on the CPU, initialised from ``seed``, global generator untouched."""
    with torch.device("meta"):
        network = NETWORKS[name].make(channels, num_classes)
    network.to_empty(device="cpu")
    initialise(network, np.random.Philox(key=[seed, INIT_STREAM]).random_raw() >> 1)
    return network


INIT_STREAM = 1 << 32
"""Second key word of the initialisation's stream; the epochs' plans use the epoch number."""

NETWORKS: dict[str, Network] = {
    "resnet8": Network(partial(ResNet, 1), min_resolution=5),
    "resnet32": Network(partial(ResNet, 5), min_resolution=5),
    "vgg16bn": Network(VGG16BN, min_resolution=32),
    "resnet18": Network(partial(photo_resnet, "resnet18"), min_resolution=33),
    "resnet50": Network(partial(photo_resnet, "resnet50"), min_resolution=33),
}
