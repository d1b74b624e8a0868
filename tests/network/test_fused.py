"""Networks fused into one module against the same networks alone."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from math import prod

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


def batches(
    network: Network, members: int, dtype: torch.dtype = torch.float64, size: int = BATCH
) -> tuple[Tensor, Tensor]:
    """Images (S, B, C, H, W) in channels_last format, labels (S, B)."""
    channels, height, width = network.input_shape
    generator = torch.Generator().manual_seed(9)
    images = torch.rand(members, size, height, width, channels, generator=generator, dtype=dtype)
    return images.permute(0, 1, 4, 2, 3), torch.randint(network.classes, (members, size), generator=generator)


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


def roundings(network: Network, size: int) -> float:
    """The relative error of the longest sum of a step in float32, most of the time.

    Its n terms are a convolution's, or those of a norm or a weight's gradient: all pixels of the batch. The rounding
    errors of a sum add up to no more than 4 sqrt(n) units in all likelihood (Higham and Mary 2019, theorem 3.1).
    """
    longest = max(max(prod(step.in_shape), size * prod(step.in_shape[1:])) for step in network.steps)
    return 4 * longest**0.5 * 2**-24


def perturbed(module: nn.Sequential, images: Tensor, labels: Tensor, relative: float, seed: int) -> dict[str, Tensor]:
    """What a step leaves where all that a layer is given, gives and passes back has a relative error of one sign."""
    generator = torch.Generator().manual_seed(seed)

    def wrong(tensor: Tensor) -> Tensor:
        signs = torch.randint(2, tensor.shape, generator=generator) * 2 - 1
        return tensor * (1 + relative * signs)

    def see(_: nn.Module, __: tuple[Tensor, ...], output: Tensor) -> Tensor:
        output = wrong(output)
        output.register_hook(wrong)
        return output

    module = copy.deepcopy(module)
    for part in module.modules():
        if not isinstance(part, nn.Sequential):
            part.register_forward_hook(see)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(wrong(parameter))
    return results(module, step(module, wrong(images).requires_grad_(), labels))


def without_dropout(modules: Sequence[nn.Sequential]) -> Sequence[nn.Sequential]:
    """The modules, which draw other masks in other types of numbers, so that none is left."""
    for part in (part for module in modules for part in module.modules()):
        if isinstance(part, (nn.Dropout, nn.Dropout2d)):
            part.p = 0.0
    return modules


def as_exact(
    together: Sequence[dict[str, Tensor]],
    alone: Sequence[dict[str, Tensor]],
    modules: Sequence[nn.Sequential],
    batch: tuple[Tensor, Tensor],
    relative: float,
) -> None:
    """Errors stay within what relative errors of each layer make of a step in float64, and twice those of one alone."""
    for own, x, y, both, one in zip(modules, *batch, together, alone, strict=True):
        exact = copy.deepcopy(own).double()
        others = [perturbed(exact, x.double(), y, relative, seed) for seed in range(4)]
        for name, value in results(exact, step(exact, x.double(), y)).items():
            spread = max((other[name] - value).abs().max() for other in others)
            most = spread + relative * value.abs().max() + 2 * (one[name] - value).abs().max()
            assert (both[name] - value).abs().max() <= most, name


@pytest.mark.skipif(
    torch.backends.cpu.get_cpu_capability() != "AVX512",
    reason="oneDNN's AVX2 kernels write beyond their memory in some backward passes of a network alone (torch 2.13)",
)
@given(networks(), st.sampled_from([1, 2, 3, 5]), st.sampled_from([4, 16]))  # oneDNN computes the larger batch alone
def test_a_step_in_float32_is_as_exact_together_as_alone(network: Network, members: int, size: int) -> None:
    modules = without_dropout(built(network, members, torch.float32))
    batch = batches(network, members, torch.float32, size)
    both, each = fused(modules, *batch), alone(copy.deepcopy(modules), *batch)
    as_exact(both, each, modules, batch, roundings(network, size))


@pytest.mark.parametrize("line", BLOCKS)
def test_a_step_in_bf16_is_as_exact_together_as_alone(line: str, named: Callable[[str], Network]) -> None:
    """Whose sums are of float32, so that the rounding of each result is the largest error: half a unit, 2^-9."""
    modules, batch = built(named(line), 3, torch.float32), batches(named(line), 3, torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        both, each = fused(modules, *batch), alone(copy.deepcopy(modules), *batch)
    as_exact(both, each, modules, batch, 2**-9)


@pytest.mark.parametrize("line", STUDIES + BLOCKS)
def test_a_step_of_a_study_is_that_of_the_network_alone(line: str, named: Callable[[str], Network]) -> None:
    modules = built(named(line), 2)
    images, labels = batches(named(line), 2)
    for actual, expected in zip(fused(modules, images, labels), alone(modules, images, labels), strict=True):
        compare(actual, expected, 1e-9)


@pytest.mark.parametrize("spoilt", [0, 2])
@pytest.mark.parametrize("line", ["model=cnn width=3", "model=dwsep width=8 slots.se_ratio=0.25", "model=cnn width=16"])
def test_a_member_that_is_not_finite_leaves_the_others_as_they_are(
    line: str, spoilt: int, named: Callable[[str], Network]
) -> None:
    """Bit for bit; in bf16 it may make them NaN as well, but where their logits are finite it does nothing else."""
    modules = built(named(line), 3, torch.float32)
    images, labels = batches(named(line), 3, torch.float32, 16)
    for reduced in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=reduced):
            whole = fused(modules, images, labels)
            broken = copy.deepcopy(modules)
            with torch.no_grad():
                next(broken[spoilt].parameters())[0] = torch.inf
            seen = images.clone()
            seen[spoilt, 0, 0, 0, 0] = torch.nan
            actual = fused(broken, seen, labels)
        assert actual[spoilt]["logits"].isnan().any()
        for place in {0, 1, 2} - {spoilt}:
            spread = reduced and actual[place]["logits"].isnan().any()
            for name, value in actual[place].items():
                whatever = value.isnan() if reduced else torch.zeros_like(value, dtype=torch.bool)
                assert spread or torch.equal(value.where(~whatever, whole[place][name]), whole[place][name])


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
