"""Networks fused into one module against the same networks alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from strategies import networks
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from dsbench.network.build import build
from dsbench.network.description import Network
from dsbench.network.fused import Fused, member, stacked
from dsbench.network.layers import Activation, BatchNorm, Conv, Dropout, Flatten, Linear, Pool
from dsbench.seeds import derived

BATCH = 4
# Every study, its widths made small.
STUDIES = [
    *("experiment=mnist_7800/cnn", "experiment=mnist_7800/dwsep_same_budget"),
    *("experiment=matched_7800/cnn_shallow", "experiment=matched_7800/dwsep_deep"),
    *("experiment=cifar10_fc/cnn width=2", "experiment=cifar10_fc/dwsep width=2"),
    *("experiment=cifar10_vgg/cnn width=3", "experiment=cifar10_vgg/dwsep width=3"),
    *("experiment=cifar10_three_way/cnn width=2", "experiment=cifar10_three_way/dwsep width=2"),
    *("experiment=cifar100_series/cnn width=3", "experiment=cifar100_series/dwsep width=3"),
]
BLOCKS = [
    f"model=dwsep width=4 slots.residual=project slots.se_ratio=0.25 block={block}"
    for block in ("keras", "mobilenet", "linear", "double_relu")
] + ["model=dwsep width=4 block=inverted_residual", "model=hybrid model.pattern=every_2 width=4 block=linear"]


def built(network: Network, members: int, dtype: torch.dtype = torch.float64) -> list[nn.Sequential]:
    """Members with weights and running statistics of their own, none of which is at its initial value."""
    out = []
    for seed in range(members):
        module = build(network, seed).to(dtype)
        generator = torch.Generator().manual_seed(derived(seed, "statistics"))
        for part in module.modules():
            if isinstance(part, (nn.BatchNorm1d, nn.BatchNorm2d)):
                for tensor in (part.weight.data, part.bias.data, part.running_mean, part.running_var):
                    tensor.add_(torch.rand(tensor.shape, generator=generator, dtype=dtype))  # type: ignore[union-attr]
        out.append(module)
    return out


def batches(network: Network, members: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """Images (S, B, C, H, W) in channels_last format, labels (S, B)."""
    channels, height, width = network.input_shape
    generator = torch.Generator().manual_seed(9)
    images = torch.rand(members, BATCH, height, width, channels, generator=generator, dtype=dtype)
    return images.permute(0, 1, 4, 2, 3), torch.randint(network.classes, (members, BATCH), generator=generator)


def together(images: Tensor) -> Tensor:
    """(S, B, C, H, W) to (B, S*C, H, W) in channels_last format."""
    return torch.cat(list(images), 1).contiguous(memory_format=torch.channels_last)


def step(module: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Logits of a pass forward, in the mode that `module` is in, and gradients by a pass back."""
    logits = module(images)
    for one, truth in zip(logits, labels, strict=True) if labels.ndim == 2 else [(logits, labels)]:
        cross_entropy(one, truth).backward(retain_graph=True)
    return logits.detach()


def results(module: nn.Module, logits: Tensor) -> dict[str, Tensor]:
    """All that a step leaves: logits, gradients, running statistics."""
    gradients = {f"gradient of {name}": p.grad for name, p in module.named_parameters() if p.grad is not None}
    return {"logits": logits, **gradients, **dict(module.named_buffers())}


def alone(modules: Sequence[nn.Sequential], images: Tensor, labels: Tensor) -> list[dict[str, Tensor]]:
    """What a step of each leaves, with the dropout of its seed."""
    out = []
    for seed, (module, own, truth) in enumerate(zip(modules, images, labels, strict=True)):
        torch.manual_seed(derived(seed, "dropout", 0))
        out.append(results(module, step(module, own, truth)))
    return out


def fused(modules: Sequence[nn.Sequential], images: Tensor, labels: Tensor) -> list[dict[str, Tensor]]:
    """What a step of all together leaves of each."""
    module = Fused(modules).train(modules[0].training)
    module.seed_dropout([derived(seed, "dropout", 0) for seed in range(len(modules))])
    both = results(module, step(module, together(images), labels))
    return [member(both, place) for place in range(len(modules))]


def compare(actual: dict[str, Tensor], expected: dict[str, Tensor], most: float) -> None:
    """Equal but for `most`, absolute and relative."""
    assert list(actual) == list(expected)
    for name, value in actual.items():
        torch.testing.assert_close(value, expected[name], rtol=most, atol=most, msg=lambda text, n=name: f"{n}: {text}")


EVERY_LAYER = Network(
    (2, 9, 9),
    3,
    (
        *(Conv(2, 4, 3, padding=1, bias=True), BatchNorm(4), Dropout(0.5), Activation("relu")),
        *(Conv(4, 8, 3, 2, groups=2), Dropout(0.5, channelwise=True), Pool("avg"), Conv(8, 6, 1), Flatten(), Flatten()),
        *(Dropout(0.5), Linear(24, 5, bias=False), BatchNorm(5), Activation("gelu"), Dropout(0.25), Linear(5, 3)),
    ),
)


@given(networks(), st.sampled_from([1, 2, 3, 5]), st.booleans())
@example(EVERY_LAYER, 3, True).via("each kind of layer, in train mode")
@example(EVERY_LAYER, 5, False).via("and in eval mode")
def test_a_step_of_each_member_is_that_of_the_network_alone(network: Network, members: int, train: bool) -> None:
    modules = [module.train(train) for module in built(network, members)]
    images, labels = batches(network, members)
    for actual, expected in zip(fused(modules, images, labels), alone(modules, images, labels), strict=True):
        compare(actual, expected, 1e-9)


@pytest.mark.parametrize("line", STUDIES + BLOCKS)
def test_a_step_of_a_study_is_that_of_the_network_alone(line: str, named: Callable[[str], Network]) -> None:
    modules = built(named(line), 2)
    images, labels = batches(named(line), 2)
    for actual, expected in zip(fused(modules, images, labels), alone(modules, images, labels), strict=True):
        compare(actual, expected, 1e-9)


@pytest.mark.parametrize("spoilt", [0, 2])
def test_a_member_that_is_no_number_leaves_the_others_as_they_are_bit_for_bit(spoilt: int) -> None:
    modules = built(EVERY_LAYER, 3, torch.float32)
    images, labels = batches(EVERY_LAYER, 3, torch.float32)
    whole = fused(modules, images, labels)
    with torch.no_grad():
        modules[spoilt][0].weight[0, 0, 0, 0] = torch.nan  # type: ignore[index,operator,union-attr]
    images[spoilt, 0, 0, 0, 0] = torch.inf
    for place, (actual, expected) in enumerate(zip(fused(modules, images, labels), whole, strict=True)):
        if place == spoilt:
            assert actual["logits"].isnan().any()
        else:
            assert all(torch.equal(actual[name], expected[name]) for name in expected)


@given(networks(), st.sampled_from([1, 2, 3, 5]))
def test_states_taken_out_of_a_fused_network_are_those_put_into_it(network: Network, members: int) -> None:
    """Names, order, values and memory format; and no more is saved of a member than of the network alone."""
    modules = built(network, members, torch.float32)
    together = Fused(modules)
    other = Fused(built(network, members, torch.float32)[::-1])
    other.load_state_dict(stacked([module.state_dict() for module in modules]))
    for state in (together.state_dict(), other.state_dict()):
        for place, module in enumerate(modules):
            own = module.state_dict()
            taken = member(state, place)
            assert list(taken) == list(own)
            assert all(torch.equal(taken[name], own[name]) for name in own)
            assert all(
                taken[name].untyped_storage().nbytes() == own[name].nbytes for name in own
            )  # and no more is saved
            layout = {"memory_format": torch.channels_last}
            assert all(taken[name].is_contiguous(**layout) for name in own if own[name].ndim == 4)
            build(network).load_state_dict(taken, assign=True)


def test_dropout_is_drawn_by_each_member_from_its_own_seed() -> None:
    network = Network((1, 8, 8), 64, (Dropout(0.5), Conv(1, 1, 1), Flatten()))
    modules = [build(network, 0) for _ in range(3)]
    together = Fused(modules)
    ones = torch.ones(BATCH, 3, 8, 8)
    together.seed_dropout([5, 6, 5])
    first, other, again = together(ones).unbind()
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    torch.manual_seed(6)
    assert torch.equal(other, modules[0](ones[:, :1]))
    assert torch.equal(together.generators[1].get_state(), torch.get_rng_state())
