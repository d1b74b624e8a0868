"""The weight decay of depthwise kernels, against torch.optim.SGD with groups made by hand, alone and in a group."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn, optim

from dsbench.config.compose import compose
from dsbench.config.network import network_of
from dsbench.errors import InputError
from dsbench.network.build import build
from dsbench.network.fused import Fused, member
from dsbench.training.recipe import decay_factors, optimizer

LINE = "model=dwsep width=4 depth=1 optimizer.weight_decay=0.1"
BLOCKS = {  # the weights of each for a 3x3 convolution from 8 to 16 channels
    "block=inverted_residual": 8 * 48 + 48 * 9 + 48 * 16,
    "block.group_size=2 arch=plain_64": 8 * 2 * 9 + 8 * 16,
    "block.depth_multiplier=2": 16 * 9 + 16 * 16,
    "block.order=pointwise_first": 8 * 16 + 16 * 9,
    "slots.residual=project": 8 * 9 + 8 * 16,
}


def stepped(net: nn.Module, made: optim.Optimizer, members: int = 1) -> dict[str, torch.Tensor]:
    """The weights after three steps on the same images, the loss of members added up."""
    images = torch.randn(8, 1, 28, 28, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    for _ in range(3):
        made.zero_grad()
        logits = net(images.repeat(1, members, 1, 1))
        logits.square().mean(dim=(-1, -2)).sum().backward()
        made.step()
    return {name: value.detach() for name, value in net.state_dict().items() if "num_batches" not in name}


@pytest.mark.parametrize(
    ("decay", "scale"),
    [
        ("0", lambda conv, following: 0.0),
        ("0.25", lambda conv, following: 0.25),
        ("ratio", lambda conv, following: 1 / following.out_channels + 1 / conv.kernel_size[0] ** 2),
    ],
)
def test_depthwise_kernels_decay_by_their_factor_alone_and_in_a_group(
    decay: str, scale: Callable[[nn.Conv2d, nn.Conv2d], float]
) -> None:
    composed = compose(f"{LINE} optimizer.decay_depthwise={decay}".split())
    network, config = network_of(composed), composed.config.optimizer
    ours, theirs = build(network, 0).double(), build(network, 0).double()
    convs = [part for part in theirs.modules() if isinstance(part, nn.Conv2d)]
    depthwise = [i for i, conv in enumerate(convs) if conv.kernel_size[0] > 1]  # all others are pointwise
    assert len(depthwise) == len(network.slots) == 3
    scaled = [{"params": [convs[i].weight], "weight_decay": 0.1 * scale(convs[i], convs[i + 1])} for i in depthwise]
    kernels = {id(convs[i].weight) for i in depthwise}
    others = [p for p in theirs.parameters() if id(p) not in kernels]
    by_hand = optim.SGD(
        [
            *scaled,
            {"params": [p for p in others if p.ndim > 1], "weight_decay": 0.1},
            {"params": [p for p in others if p.ndim == 1], "weight_decay": 0.0},
        ],
        0.1,
        momentum=0.9,
        nesterov=True,
        foreach=False,
    )
    factors = decay_factors(network, config)
    expected = stepped(theirs, by_hand)
    actual = stepped(ours, optimizer(ours, config, decay=factors))
    fused = Fused([build(network, seed).double() for seed in (0, 5)])
    of_group = member(stepped(fused, optimizer(fused, config, decay=factors), members=2), 0)
    plainly = build(network, 0).double()
    without = stepped(plainly, optimizer(plainly, compose(LINE.split()).config.optimizer))
    for name, value in expected.items():
        torch.testing.assert_close(actual[name], value, rtol=1e-9, atol=1e-11)
        torch.testing.assert_close(of_group[name], value, rtol=1e-9, atol=1e-11)
    assert any(not torch.allclose(without[name], value, rtol=1e-5) for name, value in expected.items())


def test_the_compression_ratio_is_of_the_weights_of_the_slot_whatever_its_block() -> None:
    def ratios(line: str) -> list[float]:
        composed = compose(f"width=8 depth=1 optimizer.decay_depthwise=ratio {line}".split())
        return list(decay_factors(network_of(composed), composed.config.optimizer).values())

    second = {line: ratios(f"model=dwsep {line}")[1] for line in ("kernel=5", *BLOCKS)}  # from 8 to 16 channels
    assert second.pop("kernel=5") == pytest.approx(1 / 16 + 1 / 25)  # Howard et al. (2017), section 3.1
    assert second == {line: pytest.approx(weights / (8 * 9 * 16)) for line, weights in BLOCKS.items()}
    assert ratios("model=cnn") == ratios("model=dwsep optimizer.weight_decay=0") == []


@pytest.mark.parametrize("value", ["-1", "nan", "inf", "half", "true", "null"])
def test_a_factor_that_makes_no_sense_is_named(value: str) -> None:
    with pytest.raises(InputError, match="decay_depthwise") as error:
        compose([f"optimizer.decay_depthwise={value}"]).config.optimizer.check("optimizer.")
    assert "\n" not in str(error.value)
