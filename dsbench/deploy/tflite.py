"""A network in LiteRT (TensorFlow Lite): written straight from its description, in fp32 or in int8, and opened."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dsbench.deploy.lowering import Operator, lower
from dsbench.deploy.quantizing import Quantized, Steps, quantize
from dsbench.errors import InputError, first_line
from dsbench.files import write_atomically

if TYPE_CHECKING:
    from torch import Tensor, nn

    from dsbench.network.description import Network
    from dsbench.network.layers import Shape

_CALIBRATION_BYTES = 64 * 1024**2  # of activations that calibration holds at a time
_SCHEMA_VERSION = 3
_ALIGNMENT_BYTES = 16  # of the weights in the file: runtimes read them in place
# An operator's options in the schema, where they are not named as it is.
_OPTIONS = {
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "MEAN": "ReducerOptions",
}
_WITHOUT_OPTIONS = ("RELU", "RELU6", "LOGISTIC", "TANH")
# By which runtimes know whether they are too old: of int8 operators where it is not 2; those of fp32 have 1.
_INT8_VERSIONS = {"CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 4, "RESHAPE": 1, "HARD_SWISH": 1, "GELU": 1}
_GROUPED_VERSION = 6


def write(network: Network, module: nn.Sequential, path: Path, calibration: Tensor | None = None) -> None:
    """Write the network with the weights of its `module` to `path`: images (N, H, W, C) to logits (N, classes).

    With `calibration`, images (N, C, H, W) as the network sees them, all of it is int8, the images and the logits too,
    and activations range from the lowest to the highest value that those images give them; else it is fp32. The file
    names a batch of one; runtimes resize it. The same weights and images give the same bytes. Raises InputError where
    the extra is not installed, where TFLite lacks a layer, and for int8 of a network whose numbers are not finite.
    """
    operators = lower(network, module)
    content = serialised(operators, network.input_shape)
    if calibration is not None:
        ranges = _ranges(content, operators, calibration)
        if not np.isfinite(ranges).all():
            raise InputError("the network gives numbers that are not finite, of which int8 has none; write it in fp32")
        quantized = quantize(operators, ranges)
        content = serialised(quantized.operators, network.input_shape, quantized)
    write_atomically(path, content)


def _ranges(content: bytes, operators: Sequence[Operator], images: Tensor) -> np.ndarray:
    """The lowest and the highest value (activations, 2) of each activation of an fp32 file on `images` (N, C, H, W).

    By LiteRT's own kernels: XNNPACK would keep what lies between the input and the output to itself.
    """
    litert = _litert("interpreter")
    interpreter = litert.Interpreter(
        model_content=content,
        num_threads=1,
        experimental_op_resolver_type=litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_preserve_all_tensors=True,
    )
    numbers = range(len(operators) + 1)
    low, high = np.full(len(numbers), np.inf), np.full(len(numbers), -np.inf)
    at_once = max(1, _CALIBRATION_BYTES // (4 * sum(prod(operator.shape) for operator in operators)))
    for batch in images.split(at_once):
        array = _channels_last(batch)
        _resize(interpreter, array.shape)
        interpreter.set_tensor(0, array)
        interpreter.invoke()
        values = [interpreter.get_tensor(number) for number in numbers]
        low, high = np.minimum(low, [v.min() for v in values]), np.maximum(high, [v.max() for v in values])
    return np.stack([low, high], 1)


def _channels_last(images: Tensor) -> np.ndarray:
    return np.ascontiguousarray(images.detach().cpu().float().permute(0, 2, 3, 1).numpy())


def _resize(interpreter: Any, shape: Shape) -> None:
    """Have the network take images of `shape` (N, H, W, C)."""
    interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], shape)
    interpreter.allocate_tensors()


class Interpreter:
    """The network in the file `path` on `threads` threads of the CPU, through XNNPACK, as LiteRT runs it on phones.

    `prepared` brings images (B, C, H, W) into the form that `forward` computes logits (B, classes) from fastest.
    """

    def __init__(self, path: Path, threads: int) -> None:
        """Raises InputError where the extra is not installed or `path` holds no TFLite."""
        self.threads = threads
        litert = _litert("interpreter")
        with _silently():
            try:
                self._interpreter = litert.Interpreter(str(path), num_threads=threads)
            except (ValueError, RuntimeError) as error:
                raise InputError(f"{path} is no TFLite file that LiteRT can read: {first_line(error)}") from None
        (image,), (logits,) = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        self._image, self._logits = _steps(image), _steps(logits)
        self._input, self._output = image["index"], logits["index"]
        self._shape: Shape = ()  # of the images that there is memory for

    def logits(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W), as the network sees them, to logits (B, classes) in fp32."""
        import torch

        return torch.from_numpy(self.forward(self.prepared(images)))

    def prepared(self, images: Tensor) -> np.ndarray:
        """Images (B, C, H, W) as (B, H, W, C) in the file's numbers."""
        array = _channels_last(images)
        return self._image.integers(array) if self._image else array

    def forward(self, images: np.ndarray) -> np.ndarray:
        """Prepared images to logits (B, classes) in fp32."""
        if images.shape != self._shape:
            with _silently():
                _resize(self._interpreter, images.shape)
            self._shape = images.shape
        self._interpreter.set_tensor(self._input, images)
        self._interpreter.invoke()
        logits = self._interpreter.get_tensor(self._output)
        return self._logits.values(logits) if self._logits else logits


def operators_of(path: Path) -> list[str]:
    """The operators of the file `path` by their names in TFLite's schema, each once: what a runtime runs it with."""
    schema = _litert("schema_py_generated")
    names = {number: name for name, number in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
    model = schema.Model.GetRootAs(path.read_bytes())
    codes = [model.OperatorCodes(number) for number in range(model.OperatorCodesLength())]
    return list(dict.fromkeys(names[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())] for code in codes))


def _steps(details: dict[str, Any]) -> Steps | None:
    """What the integers of an interpreter's tensor mean; None where it is fp32."""
    scale, zero_point = details["quantization"]
    return Steps(np.array([scale], np.float32), zero_point) if details["dtype"] == np.int8 else None


def serialised(operators: Sequence[Operator], image: Shape, quantized: Quantized | None = None) -> bytes:
    """The file's bytes. `image` is (channels, height, width), `operators` are those of `quantized` if there is one."""
    return _File(operators, image, quantized).bytes()


class _File:
    """A model of the schema's while it is filled: activations first, in their order, then what is constant."""

    def __init__(self, operators: Sequence[Operator], image: Shape, quantized: Quantized | None) -> None:
        self.schema, self.quantized = _litert("schema_py_generated"), quantized
        self.tensors: list[Any] = []
        self.buffers: list[Any] = [self.schema.BufferT()]  # the first is that of all tensors without one
        self.codes: dict[tuple[str, int], int] = {}
        channels, height, width = image
        shapes = [(1, height, width, channels), *((1, *operator.shape) for operator in operators)]
        for number, shape in enumerate(shapes):
            name = {0: "images", len(operators): "logits"}.get(number, str(number))
            kind, steps = ("INT8", quantized.activations[number]) if quantized else ("FLOAT32", None)
            self._tensor(name, shape, kind, steps)
        graph = self.schema.SubGraphT(name="main", inputs=[0], outputs=[len(operators)])
        graph.operators = [self._operator(number, operator) for number, operator in enumerate(operators, 1)]
        graph.tensors = self.tensors
        self.model = self.schema.ModelT(version=_SCHEMA_VERSION, subgraphs=[graph], buffers=self.buffers)
        self.model.operatorCodes = [self._code(name, version) for name, version in self.codes]

    def bytes(self) -> bytes:
        """The whole file."""
        import flatbuffers

        builder = flatbuffers.Builder()
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def _tensor(self, name: str, shape: Shape, kind: str, steps: Steps | None) -> int:
        tensor = self.schema.TensorT(name=name, shape=list(shape), type=getattr(self.schema.TensorType, kind), buffer=0)
        if steps is not None:
            tensor.quantization = self.schema.QuantizationParametersT(
                scale=steps.scale.tolist(),
                zeroPoint=[steps.zero_point] * len(steps.scale),
                quantizedDimension=steps.axis,
            )
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def _constant(self, name: str, values: np.ndarray, steps: Steps | None = None) -> int:
        number = self._tensor(name, values.shape, values.dtype.name.upper(), steps)
        self.tensors[number].buffer = len(self.buffers)
        self.buffers.append(_aligned(self.schema, values))
        return number

    def _operator(self, number: int, operator: Operator) -> Any:
        schema, quantized, inputs = self.schema, self.quantized, list(operator.inputs)
        steps = (quantized.weights[number - 1], quantized.biases[number - 1]) if quantized else (None, None)
        for name, values, of in zip(("weights", "bias"), (operator.weights, operator.bias), steps, strict=True):
            if values is not None:
                inputs.append(self._constant(f"{number} {name}", values if of else values.astype(np.float32), of))
        if operator.constant is not None:
            inputs.append(self._constant(f"{number} operand", operator.constant))
        code = self.codes.setdefault((operator.name, self._version(operator)), len(self.codes))
        out = schema.OperatorT(opcodeIndex=code, inputs=inputs, outputs=[number])
        if operator.name not in _WITHOUT_OPTIONS:
            name = _OPTIONS.get(operator.name, f"{operator.name.title().replace('_', '')}Options")
            options = getattr(schema, f"{name}T")()
            for field, value in operator.options.items():
                setattr(options, field, getattr(schema.Padding, value) if field == "padding" else value)
            if hasattr(options, "fusedActivationFunction"):
                options.fusedActivationFunction = getattr(schema.ActivationFunctionType, operator.fused)
            out.builtinOptionsType, out.builtinOptions = getattr(schema.BuiltinOptions, name), options
        return out

    def _version(self, operator: Operator) -> int:
        if operator.name == "CONV_2D":
            assert operator.weights is not None
            if operator.weights.shape[3] != self.tensors[operator.inputs[0]].shape[3]:
                return _GROUPED_VERSION
        return _INT8_VERSIONS.get(operator.name, 2) if self.quantized else 1

    def _code(self, name: str, version: int) -> Any:
        number = getattr(self.schema.BuiltinOperator, name)
        old = min(number, self.schema.BuiltinOperator.PLACEHOLDER_FOR_GREATER_OP_CODES)  # it was a byte once
        return self.schema.OperatorCodeT(deprecatedBuiltinCode=old, builtinCode=number, version=version)


def _aligned(schema: Any, values: np.ndarray) -> Any:
    """A buffer that is written at a multiple of _ALIGNMENT_BYTES, which the schema's own code does not see to."""
    content = values.astype(values.dtype.newbyteorder("<")).tobytes()

    class Aligned(schema.BufferT):
        def Pack(self, builder: Any) -> int:  # noqa: N802, the schema's name
            builder.StartVector(1, len(content), _ALIGNMENT_BYTES)
            builder.head -= len(content)
            builder.Bytes[builder.head : builder.head + len(content)] = content
            data = builder.EndVector()
            schema.BufferStart(builder)
            schema.BufferAddData(builder, data)
            return schema.BufferEnd(builder)

    return Aligned()


def _litert(module: str) -> Any:
    """A module of LiteRT's package."""
    try:
        return import_module(f"ai_edge_litert.{module}")
    except ModuleNotFoundError:
        raise InputError("no ai_edge_litert here, which TFLite needs: pip install 'dsbench[edge]'") from None


@contextmanager
def _silently() -> Iterator[None]:
    """LiteRT says on standard error which delegate it made, and cannot be asked not to; its errors are exceptions."""
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)
