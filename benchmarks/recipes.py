"""The benchmark's four networks as one would write them by hand, with the recipes of their studies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn, optim


def mnist_cnn() -> nn.Sequential:
    """mnist_7800/cnn: (B, 1, 28, 28) to logits (B, 10); 7,800 parameters."""
    return nn.Sequential(
        *(nn.Conv2d(1, 16, 3), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 32, 3), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 10, 3), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(10, 10)),
    )


def mnist_separable() -> nn.Sequential:
    """mnist_7800/dwsep_same_budget: (B, 1, 28, 28) to logits (B, 10); 7,841 parameters."""
    return nn.Sequential(
        *(separable(1, 32), nn.ReLU(), separable(32, 32), nn.ReLU()),
        *(separable(32, 32), nn.ReLU(), separable(32, 32), nn.ReLU(), nn.MaxPool2d(2)),
        *(separable(32, 64), nn.ReLU(), nn.MaxPool2d(2)),
        *(separable(64, 10), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(10, 10)),
    )


def vgg(conv: Callable[[int, int, int], nn.Module]) -> nn.Sequential:
    """cifar10_vgg of `conv`(in channels, out channels, padding): (B, 3, 32, 32) to logits (B, 10)."""
    return nn.Sequential(
        *(conv(3, 64, 1), nn.ReLU(), conv(64, 64, 1), nn.ReLU(), nn.MaxPool2d(2)),
        *(conv(64, 128, 1), nn.ReLU(), conv(128, 128, 1), nn.ReLU(), nn.MaxPool2d(2)),
        *(conv(128, 256, 1), nn.ReLU(), conv(256, 256, 1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(4096, 10)),
    )


def separable(w_in: int, w_out: int, padding: int = 0) -> nn.Sequential:
    """A depthwise 3x3 convolution without bias and a pointwise one with."""
    depthwise = nn.Conv2d(w_in, w_in, 3, padding=padding, groups=w_in, bias=False)
    return nn.Sequential(depthwise, nn.Conv2d(w_in, w_out, 1))


def _rmsprop(network: nn.Module) -> optim.Optimizer:
    return optim.RMSprop(network.parameters(), lr=1e-3, alpha=0.9, eps=1e-7)


def _adam(network: nn.Module) -> optim.Optimizer:
    return optim.Adam(network.parameters(), lr=1e-3, eps=1e-7)


@dataclass(frozen=True)
class Recipe:
    """A network and how it is trained; images are uint8 times `factor`."""

    network: Callable[[], nn.Sequential]
    optimizer: Callable[[nn.Module], optim.Optimizer]
    batch_size: int
    factor: float


RECIPES = {
    "mnist_7800/cnn": Recipe(mnist_cnn, _rmsprop, 64, 1 / 255),
    "mnist_7800/dwsep_same_budget": Recipe(mnist_separable, _rmsprop, 64, 1 / 255),
    "cifar10_vgg/cnn": Recipe(lambda: vgg(lambda i, o, padding: nn.Conv2d(i, o, 3, padding=padding)), _adam, 128, 1.0),
    "cifar10_vgg/dwsep": Recipe(lambda: vgg(separable), _adam, 128, 1.0),
}
