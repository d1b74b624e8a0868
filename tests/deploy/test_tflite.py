"""TFLite files: in fp32 they compute what the module computes, in int8 nearly, and all kernels agree on them."""

import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from strategies import networks
from torch import nn

from dsbench.config.schema import options
from dsbench.deploy.calibration import calibration_images
from dsbench.deploy.tflite import Interpreter, write
from dsbench.errors import InputError
from dsbench.network.description import Gate, Network, Residual
from dsbench.network.layers import (
    ACTIVATIONS,
    Activation,
    BatchNorm,
    Conv,
    Flatten,
    GlobalAvgPool,
    Layer,
    Linear,
    Pool,
)
from dsbench.run.trained import load

litert = pytest.importorskip("ai_edge_litert.interpreter", reason="pip install 'dsbench[edge]'")
schema = pytest.importorskip("ai_edge_litert.schema_py_generated", reason="pip install 'dsbench[edge]'")

Named = Callable[[str], Network]
Weighted = Callable[[Network], nn.Sequential]

SQUEEZED = (
    "model=dwsep data=mnist depth=1 width=4 block.order=pointwise_first block.group_size=[1,2,4] "
    "slots.se_ratio=[0.5,0,0.5] slots.residual=[project,none,project] slots.stride=[2,1,1]"
)


def images_for(net: Network, count: int = 5) -> torch.Tensor:
    return torch.randn(count, *net.input_shape, generator=torch.Generator().manual_seed(1))


def expected(module: nn.Sequential, images: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return module.eval()(images)


def by_reference(path: Path, images: torch.Tensor) -> torch.Tensor:
    """The logits of an int8 file by TFLite's reference kernels."""
    kernels = litert.OpResolverType.BUILTIN_REF
    interpreter = litert.Interpreter(str(path), experimental_op_resolver_type=kernels)
    (first,), (last,) = interpreter.get_input_details(), interpreter.get_output_details()
    scale, zero = first["quantization"]
    interpreter.resize_tensor_input(first["index"], images.permute(0, 2, 3, 1).shape)
    interpreter.allocate_tensors()
    integers = (images.permute(0, 2, 3, 1) / scale).round() + zero
    interpreter.set_tensor(first["index"], integers.clamp(-128, 127).to(torch.int8).numpy())
    interpreter.invoke()
    scale, zero = last["quantization"]
    return (torch.from_numpy(interpreter.get_tensor(last["index"])).float() - zero) * scale


@pytest.fixture(scope="module")
def differing(weighted: Weighted, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Network], None]:
    """Fails where a network's fp32 file gives other logits than its module, for one image or several."""
    path = tmp_path_factory.mktemp("fp32") / "net.tflite"

    def check(net: Network) -> None:
        module, images = weighted(net), images_for(net)
        write(net, module, path)
        logits = expected(module, images)
        interpreter = Interpreter(path, 1)
        within = 1e-4 * max(logits.max() - logits.min(), logits.abs().max()).item()
        torch.testing.assert_close(interpreter.logits(images), logits, rtol=0, atol=within)
        torch.testing.assert_close(interpreter.logits(images[:1]), logits[:1], rtol=0, atol=within)

    return check


@given(networks())
def test_fp32_gives_the_logits_of_any_module(differing: Callable[[Network], None], net: Network) -> None:
    differing(net)


def test_fp32_gives_the_logits_of_every_architecture_and_of_gates_between_groups(
    named: Named, differing: Callable[[Network], None]
) -> None:
    for arch in options("arch"):
        differing(named(f"arch={arch} model=hybrid model.pattern=every_2 data=cifar10 width=4"))
    differing(named(SQUEEZED))


AWKWARD = {
    "activations": [part for kind in ACTIVATIONS for part in (Conv(4, 4, 1), Activation(kind))],
    "norms alone, on images and on features in torch's order": [
        BatchNorm(4),
        Residual((BatchNorm(4), Conv(4, 4, 3, padding=1))),
        BatchNorm(4),
        Flatten(),
        BatchNorm(144),
        Activation("tanh"),
        BatchNorm(144),
        Linear(144, 4),
        Activation("gelu"),
        BatchNorm(4),
        Linear(4, 4),
    ],
    "a flattened image that no dense layer reads": [Flatten(), Residual((Linear(144, 144),)), Linear(144, 4)],
    "an image as logits": [Conv(4, 2, 5), Flatten()],
    "a ReLU after two max-pools": [Conv(4, 4, 1), Pool(size=3, stride=1), Pool(), Activation("relu6")],
    "a gate that first drops what it multiplies": [
        Conv(4, 4, 3, padding=1),
        Gate((Activation(), GlobalAvgPool(), Linear(4, 4), Activation("sigmoid"))),
    ],
    "an image as it comes": [Pool("avg", 3, 2), Activation(), Residual(())],
}


def awkward(name: str) -> Network:
    layers = tuple(AWKWARD[name])
    if isinstance(layers[-1], Linear):
        return Network((4, 6, 6), layers[-1].out_features, layers)
    if isinstance(layers[-1], Flatten):
        return Network((4, 6, 6), 8, layers)
    return Network((4, 6, 6), 4, (*layers, GlobalAvgPool(), Linear(4, 4)))


@pytest.mark.parametrize("name", AWKWARD)
def test_fp32_and_int8_give_the_logits_of(
    name: str, differing: Callable[[Network], None], quantized: Callable[[Network], None]
) -> None:
    differing(awkward(name))
    quantized(awkward(name))


@pytest.fixture(scope="module")
def quantized(weighted: Weighted, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., None]:
    """Fails where int8 is far from fp32 on the images that it is calibrated on, or XNNPACK from the reference."""
    path = tmp_path_factory.mktemp("int8") / "net.tflite"

    def check(net: Network, share: float = 0.04, steps: float = 4.5) -> None:
        module, images = weighted(net), images_for(net, 32)
        write(net, module, path, images)
        logits, interpreter = expected(module, images), Interpreter(path, 1)
        (step,) = file_of(path).steps("logits")[0]
        answers = interpreter.logits(images)
        assert (answers - logits).abs().max() <= share * 255 * step
        assert (answers - by_reference(path, images)).abs().max() <= steps * step
        torch.testing.assert_close(interpreter.logits(images[:1]), answers[:1], rtol=0, atol=0)

    return check


@given(networks(max_slots=1))
def test_int8_is_near_the_logits_of_any_module_and_of_the_reference_kernels(
    weighted: Weighted, quantized: Callable[..., None], net: Network
) -> None:
    variances = [values for name, values in weighted(net).named_buffers() if name.endswith("running_var")]
    assume(all(values.min() > 0.01 for values in variances))  # else a norm makes any rounding large
    quantized(net, share=0.15, steps=16.5)


@dataclass(frozen=True)
class File:
    """A file as the schema's own reader has it."""

    model: Any

    @property
    def graph(self) -> Any:
        return self.model.subgraphs[0]

    def tensor(self, name: str | int) -> Any:
        tensors = self.graph.tensors
        return tensors[name] if not isinstance(name, str) else next(t for t in tensors if t.name == name.encode())

    def steps(self, name: str | int) -> tuple[list[float], list[int]]:
        """Scales and zero points."""
        quantization = self.tensor(name).quantization
        return list(quantization.scale), list(quantization.zeroPoint)

    def operators(self) -> list[tuple[str, Any]]:
        """Names and operators."""
        names = {number: name for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)}
        codes = [names[code.builtinCode] for code in self.model.operatorCodes]
        return [(codes[operator.opcodeIndex], operator) for operator in self.graph.operators]


def file_of(path: Path) -> File:
    return File(schema.ModelT.InitFromPackedBuf(path.read_bytes()))


@pytest.fixture(scope="module")
def written(
    weighted: Weighted, named: Named, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str | Network], Path]:
    """The int8 file of a network, written once."""
    folder = tmp_path_factory.mktemp("written")

    @cache
    def make(net: str | Network) -> Path:
        path = folder / f"{len(list(folder.iterdir()))}.tflite"
        network = named(net) if isinstance(net, str) else net
        write(network, weighted(network), path, images_for(network, 8))
        return path

    return make


def test_norms_and_activations_are_part_of_the_operators_before_them(written: Callable[[str], Path]) -> None:
    file = file_of(written("model=cnn data=mnist5k width=16"))
    names = Counter(name for name, _ in file.operators())
    assert names == {"CONV_2D": 6, "MAX_POOL_2D": 2, "MEAN": 1, "FULLY_CONNECTED": 1}
    for name, operator in file.operators():
        if name == "CONV_2D":
            assert operator.builtinOptions.fusedActivationFunction == schema.ActivationFunctionType.RELU
            assert operator.builtinOptions.padding == schema.Padding.SAME
            assert file.steps(operator.outputs[0])[1] == [-128]  # all of int8 is above 0


def test_int8_is_quantised_as_tflites_kernels_take_it(written: Callable[[str | Network], Path]) -> None:
    kinds = ("silu", "tanh", "sigmoid", "leaky_relu")
    layers = [part for kind in kinds for part in (Conv(4, 4, 3, padding=1, groups=4), Activation(kind))]
    layers += [Conv(4, 4, 3, 2, 1), Pool(), Flatten(), Linear(4, 3)]
    seen = Counter[str]()
    for net in (SQUEEZED, "arch=cifar10_fc model=cnn data=cifar10 width=2", Network((4, 6, 6), 3, tuple(layers))):
        file = file_of(written(net))
        assert {tensor.type for tensor in file.graph.tensors} <= {schema.TensorType.INT8, schema.TensorType.INT32}
        for name, operator in file.operators():
            seen[name] += 1
            x, *operands = operator.inputs
            (y,) = operator.outputs
            if name in ("MAX_POOL_2D", "AVERAGE_POOL_2D", "PAD", "RESHAPE"):
                assert file.steps(y) == file.steps(x)
            elif name in ("LOGISTIC", "TANH"):
                assert file.steps(y) == (([1 / 256], [-128]) if name == "LOGISTIC" else ([1 / 128], [0]))
            elif name in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
                weights, bias = operands
                channels = file.tensor(y).shape[-1]
                scales, zeros = file.steps(weights)
                assert file.tensor(weights).quantization.quantizedDimension == (3 if name.startswith("DEPTH") else 0)
                assert (len(scales), zeros) == (channels, [0] * channels)
                assert file.steps(bias)[0] == pytest.approx([file.steps(x)[0][0] * scale for scale in scales])
    assert seen.keys() > {"PAD", "RESHAPE", "MAX_POOL_2D", "LOGISTIC", "TANH", "DEPTHWISE_CONV_2D", "MUL", "ADD"}


def test_old_runtimes_are_told_of_grouped_convolutions(written: Callable[[str], Path]) -> None:
    codes = [(code.builtinCode, code.version) for code in file_of(written(SQUEEZED)).model.operatorCodes]
    convolution = schema.BuiltinOperator.CONV_2D
    assert {version for code, version in codes if code == convolution} == {3, 6}


def test_weights_lie_where_runtimes_read_them_in_place(written: Callable[[str], Path]) -> None:
    path = written(SQUEEZED)
    model = schema.Model.GetRootAs(path.read_bytes(), 0)
    vectors = [model.Buffers(number)._tab for number in range(model.BuffersLength())]
    starts = [table.Vector(table.Offset(4)) for table in vectors if table.Offset(4)]
    assert len(starts) > 20
    assert {start % 16 for start in starts} == {0}


def test_the_same_weights_and_images_give_the_same_bytes(
    weighted: Weighted, named: Named, written: Callable[[str], Path], tmp_path: Path
) -> None:
    net, again = named(SQUEEZED), tmp_path / "again.tflite"
    write(net, weighted(net), again, images_for(net, 8))
    assert again.read_bytes() == written(SQUEEZED).read_bytes()
    assert list(tmp_path.iterdir()) == [again]


def test_tiny_weights_and_channels_that_are_dead_do_not_overflow(weighted: Weighted, tmp_path: Path) -> None:
    net = Network((2, 4, 4), 3, (Conv(2, 6, 1, bias=True), Activation(), GlobalAvgPool(), Linear(6, 3)))
    module, images, path = weighted(net), images_for(net, 32), tmp_path / "net.tflite"
    with torch.no_grad():
        for channel, (weight, bias) in enumerate(((1e-12, 3), (0, 3), (1, -1e9), (1e-12, -1e9), (0, 0))):
            module[0].weight[channel], module[0].bias[channel] = weight, bias
    write(net, module, path, images)
    (step,) = file_of(path).steps("logits")[0]
    assert (Interpreter(path, 1).logits(images) - expected(module, images)).abs().max() < 3 * step


def test_layers_that_are_always_0_or_far_finer_than_their_input_can_be_computed(
    weighted: Weighted, tmp_path: Path
) -> None:
    gate = Gate((GlobalAvgPool(), Linear(2, 2), Activation(), Linear(2, 2), Activation("sigmoid")))
    layers = (Conv(2, 2, 1), Activation(), Conv(2, 2, 1), Activation(), Conv(2, 2, 3, padding=1, groups=2), gate)
    net = Network((2, 4, 4), 2, (*layers, GlobalAvgPool(), Linear(2, 2, bias=False)))
    module, path = weighted(net), tmp_path / "net.tflite"
    images = images_for(net, 32)[:, :1].repeat(1, 2, 1, 1)
    for difference in (0, 1e-6):
        with torch.no_grad():
            module[0].weight[:, 0], module[0].weight[:, 1] = 1, difference - 1
        write(net, module, path, images)
        assert Interpreter(path, 1).logits(images).abs().max() < 0.1


def test_a_trained_network_answers_the_same(finished: Path, tmp_path: Path) -> None:
    run = load(finished)
    module, data = run.module(), run.data()
    batches = list(data.test)
    images, labels = torch.cat([part for part, _ in batches]), torch.cat([part for _, part in batches])
    logits = expected(module, images)
    for path, calibration, agreement in (
        (tmp_path / "fp32.tflite", None, 1.0),
        (tmp_path / "int8.tflite", calibration_images(data), 0.95),
    ):
        write(run.network, module, path, calibration)
        answers = Interpreter(path, 1).logits(images).argmax(1)
        assert (answers == logits.argmax(1)).double().mean() >= agreement
        accuracy = (answers == labels).double().mean().item()
        assert accuracy == pytest.approx(run.record.result.test_acc, abs=0.0001 if calibration is None else 0.02)


def test_what_is_wrong_is_said_in_one_line_and_leaves_no_file(
    weighted: Weighted, named: Named, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Odd(Layer):
        pass

    net, path = named("model=cnn width=4"), tmp_path / "net.tflite"
    module = weighted(net)
    unknown = Network((2, 3, 3), 2, (Odd(), GlobalAvgPool()))
    with pytest.raises(InputError, match=r"^TFLite has no operator for odd$"):
        write(unknown, nn.Sequential(nn.Identity(), nn.Identity()), path)
    with torch.no_grad():
        module[-1].weight[0] = torch.nan
    with pytest.raises(InputError, match=r"not finite, of which int8 has none; write it in fp32$"):
        write(net, module, path, images_for(net))
    monkeypatch.setitem(sys.modules, "ai_edge_litert.schema_py_generated", None)
    with pytest.raises(InputError, match=r"pip install 'dsbench\[edge\]'$"):
        write(net, module, path)
    assert not list(tmp_path.iterdir())
    path.write_bytes(b"TFL3" * 20)
    with pytest.raises(InputError, match=r"^\S*net\.tflite is no TFLite file that LiteRT can read: "):
        Interpreter(path, 1)


def test_the_interpreter_has_the_threads_asked_for(
    written: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, opened, seen = written(SQUEEZED), litert.Interpreter, []

    def spy(*arguments: Any, **rest: Any) -> Any:
        seen.append(rest)
        return opened(*arguments, **rest)

    monkeypatch.setattr(litert, "Interpreter", spy)
    interpreter = Interpreter(path, 2)
    assert (interpreter.threads, seen) == (2, [{"num_threads": 2}])
    prepared = interpreter.prepared(torch.zeros(3, 1, 28, 28))
    assert (prepared.shape, prepared.dtype) == ((3, 28, 28, 1), np.int8)
    assert interpreter.forward(prepared).dtype == np.float32
