"""The benchmarks' networks as one would write them by hand: those of studies with their recipes, and plain ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn, optim
from torch.nn.functional import pad


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


def plain(conv: Callable[[int, int], nn.Module], width: int) -> nn.Sequential:
    """arch=plain of `conv`(in channels, out channels): (B, 3, 32, 32) to logits (B, 10)."""
    layers: list[nn.Module] = []
    for w_in, w_out in ((3, width), (width, 2 * width), (2 * width, 4 * width)):
        layers += [conv(w_in, w_out), conv(w_out, w_out), nn.MaxPool2d(2)]
    layers[-1] = nn.AdaptiveAvgPool2d(1)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(4 * width, 10))


def conv_norm(w_in: int, w_out: int, kernel: int = 3, groups: int = 1) -> nn.Sequential:
    """A convolution of the same size without bias, batch norm and ReLU."""
    conv = nn.Conv2d(w_in, w_out, kernel, padding=kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(w_out), nn.ReLU())


def mobilenet(w_in: int, w_out: int) -> nn.Sequential:
    """MobileNet's block: a depthwise 3x3 convolution and a pointwise one, each with batch norm and ReLU."""
    return nn.Sequential(conv_norm(w_in, w_in, groups=w_in), conv_norm(w_in, w_out, kernel=1))


def separable(w_in: int, w_out: int, padding: int = 0) -> nn.Sequential:
    """A depthwise 3x3 convolution without bias and a pointwise one with."""
    depthwise = nn.Conv2d(w_in, w_in, 3, padding=padding, groups=w_in, bias=False)
    return nn.Sequential(depthwise, nn.Conv2d(w_in, w_out, 1))


def _rmsprop(network: nn.Module) -> optim.Optimizer:
    return optim.RMSprop(network.parameters(), lr=1e-3, alpha=0.9, eps=1e-7)


def _adam(network: nn.Module) -> optim.Optimizer:
    return optim.Adam(network.parameters(), lr=1e-3, eps=1e-7)


def _sgd(network: nn.Module) -> optim.Optimizer:
    weights = [p for p in network.parameters() if p.ndim > 1]
    vectors = [p for p in network.parameters() if p.ndim <= 1]
    groups = [{"params": weights, "weight_decay": 5e-4}, {"params": vectors, "weight_decay": 0.0}]
    return optim.SGD(groups, lr=0.1, momentum=0.9, nesterov=True)


def _one_cycle(optimizer: optim.Optimizer, steps: int) -> optim.lr_scheduler.LRScheduler:
    return optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=steps, pct_start=0.2, cycle_momentum=False)


@dataclass(frozen=True)
class Recipe:
    """A network and how it is trained: images are uint8 times `factor` plus `shift`, shifted and mirrored or not.

    `schedule` is given the optimizer and the number of steps; without one the learning rate stays.
    """

    network: Callable[[], nn.Sequential]
    optimizer: Callable[[nn.Module], optim.Optimizer]
    batch_size: int
    factor: float
    shift: float = 0.0
    schedule: Callable[[optim.Optimizer, int], optim.lr_scheduler.LRScheduler] | None = None
    crop_padding: int = 0
    flip: bool = False

    def augmented(self, images: Tensor) -> Tensor:
        """A batch (B, C, H, W) on its device, each image shifted and mirrored by chance, without waiting for it."""
        count, _, height, width = images.shape
        if self.crop_padding:
            places = torch.randint(2 * self.crop_padding + 1, (2, count, 1), device=images.device)
            rows = places[0] + torch.arange(height, device=images.device)
            columns = places[1] + torch.arange(width, device=images.device)
            padded = pad(images, 4 * (self.crop_padding,)).permute(0, 2, 3, 1)  # the memory is channels_last
            image = torch.arange(count, device=images.device)[:, None, None]
            images = padded[image, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
        if self.flip:
            mirrored = torch.rand(count, device=images.device) < 0.5
            images = torch.where(mirrored[:, None, None, None], images.flip(3), images)
        return images


def _default(conv: Callable[[int, int], nn.Module], width: int) -> Recipe:
    """The default recipe of dsbench on CIFAR-10."""
    network = partial(plain, conv, width)
    return Recipe(network, _sgd, 128, 1 / 64, -2.0, _one_cycle, crop_padding=4, flip=True)


RECIPES = {
    "mnist_7800/cnn": Recipe(mnist_cnn, _rmsprop, 64, 1 / 255),
    "mnist_7800/dwsep_same_budget": Recipe(mnist_separable, _rmsprop, 64, 1 / 255),
    "cifar10_vgg/cnn": Recipe(lambda: vgg(lambda i, o, padding: nn.Conv2d(i, o, 3, padding=padding)), _adam, 128, 1.0),
    "cifar10_vgg/dwsep": Recipe(lambda: vgg(separable), _adam, 128, 1.0),
    **{f"plain_{width}/cnn": _default(conv_norm, width) for width in (8, 16, 32)},
    **{f"plain_{width}/dwsep": _default(mobilenet, width) for width in (8, 16, 32)},
}
