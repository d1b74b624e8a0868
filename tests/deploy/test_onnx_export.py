"""The exported file computes what the module computes, and holds little else than its weights."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from torch import nn

from dsbench.config.compose import compose
from dsbench.config.schema import options
from dsbench.deploy.onnx import Session, export
from dsbench.network.description import Network
from dsbench.network.layers import ACTIVATIONS, Activation, Conv, GlobalAvgPool, Linear

Named = Callable[[str], Network]
Weighted = Callable[[Network], nn.Sequential]
Logits = Callable[[Path, torch.Tensor], torch.Tensor]


@pytest.fixture
def differing(weighted: Weighted, logits: Logits, tmp_path: Path) -> Callable[[Network], None]:
    """Fails where a network's file gives other logits than its module in evaluation mode, for one image or several."""

    def check(net: Network) -> None:
        module, path = weighted(net), tmp_path / "net.onnx"
        export(module, net.input_shape, path)
        onnx.checker.check_model(path, full_check=True)
        images = torch.randn(5, *net.input_shape, generator=torch.Generator().manual_seed(1))
        with torch.inference_mode():
            expected = module.eval()(images)
        assert expected.std(0).max() > 0.01  # or equal logits would say little
        torch.testing.assert_close(logits(path, images), expected, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(logits(path, images[:1]), expected[:1], rtol=1e-4, atol=1e-4)

    return check


LARGER = ("plain_64", "plain_128", "plain_224")  # than plain, and made of the same layers


@pytest.mark.parametrize(
    "arch", [pytest.param(arch, marks=[pytest.mark.thorough] * (arch in LARGER)) for arch in options("arch")]
)
def test_every_architectures_file_gives_the_modules_logits_for_any_batch(
    arch: str, named: Named, differing: Callable[[Network], None]
) -> None:
    differing(named(f"arch={arch} model=hybrid model.pattern=every_2 data=cifar10 width=4"))


def test_every_blocks_file_gives_the_modules_logits_for_any_batch(
    named: Named, differing: Callable[[Network], None]
) -> None:
    presets = [vars(compose([f"block={name}"]).config.block) for name in options("block")]
    presets += [presets[0]] * (6 - len(presets))
    settings = " ".join(f"block.{key}=[{','.join(str(preset[key]) for preset in presets)}]" for key in presets[0])
    net = named(f"model=dwsep data=mnist width=4 {settings}")
    assert len(net.slots) == 6
    differing(net)


def test_squeeze_and_excitation_shortcuts_groups_and_strides_give_the_modules_logits(
    named: Named, differing: Callable[[Network], None]
) -> None:
    differing(
        named(
            "model=dwsep data=mnist depth=1 width=4 block.order=pointwise_first block.group_size=[1,2,4] "
            "slots.se_ratio=[0.5,0,0.5] slots.residual=[project,none,project] slots.stride=[2,1,1]"
        )
    )


def test_every_activation_gives_the_modules_logits(differing: Callable[[Network], None]) -> None:
    layers = [part for kind in ACTIVATIONS for part in (Conv(4, 4, 1), Activation(kind))]
    differing(Network((4, 5, 5), 3, (*layers, GlobalAvgPool(), Linear(4, 3))))


def test_batch_norms_are_folded_into_the_convolutions_before_them(exported: Any) -> None:
    operators = Counter(node.op_type for node in onnx.load(exported.path).graph.node)
    assert operators == {"Conv": 6, "Relu": 6, "MaxPool": 2, "ReduceMean": 1, "Gemm": 1}


def test_the_module_stays_as_it_is(exported: Any) -> None:
    assert all(part.training for part in exported.module.modules())
    assert all(torch.equal(value, exported.before[name]) for name, value in exported.module.state_dict().items())


def test_the_file_is_its_weights_and_little_else(exported: Any) -> None:
    parts = [part for part in exported.module.modules() if isinstance(part, (nn.Conv2d, nn.Linear))]
    numbers = sum(part.weight.numel() + len(part.weight) for part in parts)  # folding gives every one a bias
    assert 4 * numbers < exported.path.stat().st_size < 4 * numbers + 4000
    assert list(exported.path.parent.iterdir()) == [exported.path]


def test_the_session_has_the_threads_asked_for(exported: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    seen = []
    opened = onnxruntime.InferenceSession

    def spy(path: Path, options: Any, **rest: Any) -> Any:
        seen.append((options.intra_op_num_threads, options.inter_op_num_threads, rest["providers"]))
        return opened(path, options, **rest)

    monkeypatch.setattr(onnxruntime, "InferenceSession", spy)
    session = Session(exported.path, 2)
    assert session.forward(session.prepared(torch.zeros(3, 1, 28, 28))).shape == (3, 10)
    assert (session.threads, seen) == (2, [(2, 1, ["CPUExecutionProvider"])])
